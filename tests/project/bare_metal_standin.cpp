// The vendor's register functions, with the DMA and the wrapper's C++ behind them instead of hardware.
#include "dma_standin.h"

#include <cstdarg>

static std::map<uint64_t, uint32_t> registers;

extern "C" {
extern const uint64_t DMA_AT, IP_AT;

void Xil_Out32(uint64_t address, uint32_t value) {
    registers[address] = value;
    const uint64_t base = DMA_AT;
    if (address != base + 0x28) // the length of a transfer from memory starts it
        return;
    if (registers[IP_AT] != 0x81 || !(registers[base] & 1) || !(registers[base + 0x30] & 1) || !registers[base + 0x58])
        std::exit(6); // the network, or a channel of the DMA, is not running
    const uint64_t from = registers[base + 0x18] | uint64_t(registers[base + 0x1C]) << 32;
    const uint64_t to = registers[base + 0x48] | uint64_t(registers[base + 0x4C]) << 32;
    Dma dma;
    const std::vector<uint8_t> out = dma.transfer(reinterpret_cast<const uint8_t *>(from), value);
    if (out.size() > registers[base + 0x58])
        std::exit(7); // more than the buffer takes
    std::memcpy(reinterpret_cast<void *>(to), out.data(), out.size());
    registers[base + 0x58] = uint32_t(out.size()); // how much came
    registers[base + 0x04] = registers[base + 0x34] = 2; // both idle
}
uint32_t Xil_In32(uint64_t address) {
    return address == DMA_AT ? registers[DMA_AT] & ~4u : registers[address]; // a reset is over at once
}
void Xil_DCacheFlushRange(uintptr_t, unsigned) {}
void Xil_DCacheInvalidateRange(uintptr_t, unsigned) {}
void xil_printf(const char *format, ...) {
    va_list list;
    va_start(list, format);
    std::vprintf(format, list);
    va_end(list);
}
}
