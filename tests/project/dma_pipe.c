// Memory of a transfer on standard input, memory of its answer on standard output: a DMA as a processor drives it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void Xil_Out32(uint64_t, uint32_t);
uint32_t Xil_In32(uint64_t);
extern const uint64_t DMA_AT, IP_AT;

int main(int count, char **args) {
    const size_t room = count > 1 ? strtoul(args[1], NULL, 10) : 0;
    size_t length = 0;
    uint8_t *in = malloc(1 << 26), *out = calloc(room, 1);
    length = fread(in, 1, 1 << 26, stdin);
    Xil_Out32(IP_AT, 0x81);
    for (int channel = 0x30; channel >= 0; channel -= 0x30) { // first the way back
        const uint64_t address = (uint64_t)(uintptr_t)(channel ? out : in);
        Xil_Out32(DMA_AT + channel, 1);
        Xil_Out32(DMA_AT + channel + 0x18, (uint32_t)address);
        Xil_Out32(DMA_AT + channel + 0x1C, (uint32_t)(address >> 32));
        Xil_Out32(DMA_AT + channel + 0x28, (uint32_t)(channel ? room : length));
    }
    fwrite(out, 1, Xil_In32(DMA_AT + 0x58), stdout);
    return 0;
}
