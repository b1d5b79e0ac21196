// A DMA in C++ around the wrapper: bytes of memory in, beats through the C++ of the wrapper, bytes of memory out.
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include WRAPPER_HEADER

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
} // namespace nnet

struct Dma : fpgaml::World {
    const size_t bytes = DATA_WIDTH / 8;
    hls::stream<beat_t> s_axis{"s_axis"}, m_axis{"m_axis"};
    std::vector<uint8_t> out;
    bool ended = false;

    // A simple-mode transfer: TLAST with the last beat in; it ends at the first TLAST out.
    std::vector<uint8_t> transfer(const uint8_t *memory, size_t length) {
        fpgaml::world() = this;
        const size_t beats = length / bytes;
        for (size_t b = 0; b < beats; b++) {
            beat_t beat;
            uint64_t data = 0;
            std::memcpy(&data, memory + b * bytes, bytes);
            beat.data = data;
            beat.keep = -1;
            beat.last = b + 1 == beats;
            s_axis.offer(beat);
        }
        for (size_t n = 0; n < beats / IN_BEATS; n++)
            TOP(s_axis, m_axis);
        while (!m_axis.empty())
            tick();
        return out;
    }

    void tick() {
        if (m_axis.empty() || ended)
            std::exit(ended ? 5 : 4); // data after TLAST would be lost; nothing to read would hang
        beat_t beat = m_axis.take();
        const uint64_t data = beat.data.to_uint64();
        for (size_t k = 0; k < bytes; k++)
            if (beat.keep[k])
                out.push_back(uint8_t(data >> (8 * k)));
        ended = beat.last == 1;
    }
};
