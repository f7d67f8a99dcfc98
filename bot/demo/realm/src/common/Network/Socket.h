#pragma once

#include "Define.h"
#include <cstdint>
#include <string>
#include <string_view>

// A small layer over POSIX sockets and Winsock. All waits are bounded.
namespace Net
{
    // Once, before the first socket.
    bool Startup();

    enum class ReadState
    {
        Data,
        Nothing,
        Closed
    };

    class Socket
    {
    public:
        Socket() = default;
        explicit Socket(std::intptr_t handle) : _handle(handle) { }
        ~Socket() { Close(); }
        Socket(Socket&& other) noexcept : _handle(other.Release()) { }
        Socket& operator=(Socket&& other) noexcept;
        Socket(Socket const&) = delete;
        Socket& operator=(Socket const&) = delete;

        bool IsOpen() const { return _handle != -1; }
        void Close();

        // Appends what has arrived, waiting at most so long for it.
        ReadState Receive(std::string& into, int timeoutMs);
        // All of it, giving up when the other side takes nothing for 5 s.
        bool Send(std::string_view data);
        std::string GetRemoteAddress() const;

    private:
        friend class Listener;
        std::intptr_t Release();

        std::intptr_t _handle = -1;
    };

    class Listener
    {
    public:
        // False when the address is not one of ours or the port is taken.
        bool Bind(std::string const& ip, uint16 port);
        // A closed socket when nobody came in time.
        Socket Accept(int timeoutMs);
        void Close() { _socket.Close(); }

    private:
        Socket _socket;
    };
}
