#pragma once

#include "Network/Socket.h"
#include <string>
#include <vector>

// A player at the world port. The protocol is lines of text:
//   HELLO name   log in                         -> WELCOME name
//   CAST spell   a spell on the nearest bot     -> CASTED spell
//   BUG name     whatever sets that bug off     -> OK, or ERROR text
//   QUIT         log out
// The server sends CHAT text (announcements, countdowns) by itself.
class WorldSession
{
public:
    explicit WorldSession(Net::Socket socket) : _socket(std::move(socket)) { }

    // Network thread: reads what has come; false when the player is gone.
    bool Read();
    // World thread: carries out the lines that were read.
    void Update(std::vector<std::string> const& lines);
    std::vector<std::string> TakeLines();

    void Send(std::string const& line) { _socket.Send(line + "\r\n"); }
    void Kick() { _kicked = true; }
    bool IsKicked() const { return _kicked; }
    bool IsLoggedIn() const { return !_name.empty(); }

private:
    void HandleHello(std::string const& name);
    void HandleCastSpell(std::string const& spell);
    void HandleBug(std::string const& name);

    Net::Socket _socket;
    std::string _received;
    std::string _name;
    bool _kicked = false;
};
