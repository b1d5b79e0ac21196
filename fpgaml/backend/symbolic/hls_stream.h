// A FIFO of any type. What is read from an empty one or left in it is a fault; its storage is part of the executed state.
#pragma once
#include <string>

#include "value.h"

namespace symbolic {
void *storage(size_t bytes); // remembered and compared with the rest of the state
}

namespace hls {
template <class T> class stream {
    T *data = nullptr;
    size_t first = 0, last = 0, room = 0;

  public:
    stream() {}
    stream(const char *) {}
    stream(const std::string &) {}
    stream(const stream &) = delete;
    stream &operator=(const stream &) = delete;
    ~stream() {
        if (!empty())
            symbolic::fail("a stream is left with data in it");
    }
    bool empty() const { return first == last; }
    bool full() const { return false; }
    size_t size() const { return last - first; }
    void write(const T &x) {
        if (last == room)
            grow();
        data[last++] = x;
    }
    T read() {
        if (empty()) {
            symbolic::fail("a stream is read while it is empty");
            return T();
        }
        T x = data[first++];
        if (empty())
            first = last = 0;
        return x;
    }
    void read(T &x) { x = read(); }
    bool read_nb(T &x) {
        if (empty())
            return false;
        x = read();
        return true;
    }
    bool write_nb(const T &x) {
        write(x);
        return true;
    }
    void operator>>(T &x) { x = read(); }
    void operator<<(const T &x) { write(x); }

  private:
    void grow() {
        size_t wanted = room ? 2 * room : 64;
        T *more = static_cast<T *>(symbolic::storage(wanted * sizeof(T)));
        for (size_t i = first; i < last; i++)
            more[i] = data[i];
        data = more;
        room = wanted;
    }
};
} // namespace hls
