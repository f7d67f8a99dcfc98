#include "Network/Socket.h"
#include <utility>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace
{
#ifdef _WIN32
    using Native = SOCKET;
    using Length = int;
    constexpr int SendFlags = 0;

    void CloseNative(Native handle) { ::closesocket(handle); }
    int PollNative(WSAPOLLFD* entry, int timeoutMs) { return ::WSAPoll(entry, 1, timeoutMs); }
    using PollEntry = WSAPOLLFD;
    // SO_REUSEADDR would let two servers share a port here.
    void AllowRebind(Native) { }
    void KeepFromChildren(Native) { }
#else
    using Native = int;
    using Length = socklen_t;
    constexpr int SendFlags = MSG_NOSIGNAL;

    void CloseNative(Native handle) { ::close(handle); }
    int PollNative(pollfd* entry, int timeoutMs) { return ::poll(entry, 1, timeoutMs); }
    using PollEntry = pollfd;

    // A port in TIME_WAIT after a crash must not keep the next start away; one that is listened on still does.
    void AllowRebind(Native handle)
    {
        int const on = 1;
        ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    void KeepFromChildren(Native handle) { ::fcntl(handle, F_SETFD, FD_CLOEXEC); }
#endif

    Native ToNative(std::intptr_t handle) { return static_cast<Native>(handle); }

    bool WaitFor(std::intptr_t handle, short events, int timeoutMs)
    {
        PollEntry entry{};
        entry.fd = ToNative(handle);
        entry.events = events;
        return PollNative(&entry, timeoutMs) > 0;
    }
}

bool Net::Startup()
{
#ifdef _WIN32
    WSADATA data;
    return ::WSAStartup(MAKEWORD(2, 2), &data) == 0;
#else
    return true;
#endif
}

Net::Socket& Net::Socket::operator=(Socket&& other) noexcept
{
    if (this != &other)
    {
        Close();
        _handle = other.Release();
    }
    return *this;
}

std::intptr_t Net::Socket::Release()
{
    return std::exchange(_handle, -1);
}

void Net::Socket::Close()
{
    if (IsOpen())
        CloseNative(ToNative(Release()));
}

Net::ReadState Net::Socket::Receive(std::string& into, int timeoutMs)
{
    if (!IsOpen())
        return ReadState::Closed;
    if (!WaitFor(_handle, POLLIN, timeoutMs))
        return ReadState::Nothing;

    char chunk[2048];
    auto const length = ::recv(ToNative(_handle), chunk, sizeof(chunk), 0);
    if (length <= 0)
        return ReadState::Closed;
    into.append(chunk, static_cast<std::size_t>(length));
    return ReadState::Data;
}

bool Net::Socket::Send(std::string_view data)
{
    while (!data.empty())
    {
        if (!IsOpen() || !WaitFor(_handle, POLLOUT, 5000))
            return false;
        auto const sent = ::send(ToNative(_handle), data.data(), static_cast<int>(data.size()), SendFlags);
        if (sent <= 0)
            return false;
        data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

std::string Net::Socket::GetRemoteAddress() const
{
    sockaddr_in address{};
    Length length = sizeof(address);
    char text[INET_ADDRSTRLEN] = "unknown";
    if (IsOpen() && ::getpeername(ToNative(_handle), reinterpret_cast<sockaddr*>(&address), &length) == 0)
        ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
    return text;
}

bool Net::Listener::Bind(std::string const& ip, uint16 port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1)
        return false;

    auto const handle = ::socket(AF_INET, SOCK_STREAM, 0);
    _socket = Socket(static_cast<std::intptr_t>(handle));
    if (!_socket.IsOpen())
        return false;
    AllowRebind(handle);
    KeepFromChildren(handle);
    bool const bound = ::bind(handle, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && ::listen(handle, 64) == 0;
    if (!bound)
        _socket.Close();
    return bound;
}

Net::Socket Net::Listener::Accept(int timeoutMs)
{
    if (!_socket.IsOpen() || !WaitFor(_socket._handle, POLLIN, timeoutMs))
        return Socket();
    auto const handle = ::accept(ToNative(_socket._handle), nullptr, nullptr);
    Socket accepted(static_cast<std::intptr_t>(handle));
    if (accepted.IsOpen())
    {
        int const on = 1;
        ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char const*>(&on), sizeof(on));
        KeepFromChildren(handle);
    }
    return accepted;
}
