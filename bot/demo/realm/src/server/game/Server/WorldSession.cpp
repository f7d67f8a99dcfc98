#include "Server/WorldSession.h"
#include "Debug/PlantedBugs.h"
#include "Logging/Log.h"
#include "Utilities/Text.h"
#include <utility>

namespace
{
    // What the demonstration's spells do to the bot they hit.
    struct SpellEntry
    {
        char const* Id;
        char const* Bug;
    };
    constexpr SpellEntry Spells[] = {
        { "133", "assert" },      // Fireball: its burning effect is refreshed
        { "8326", "aura" },       // Ghost: the aura runs out at once
        { "66", "freeze" },       // Invisibility: the mover leaves the map
        { "46584", "recursion" }, // Raise Dead: the minion follows its master
        { "921", "doublefree" },  // Pick Pocket: the loot is cleared
    };
}

bool WorldSession::Read()
{
    return !_kicked && _socket.Receive(_received, 0) != Net::ReadState::Closed && _received.size() < 65536;
}

std::vector<std::string> WorldSession::TakeLines()
{
    std::vector<std::string> lines;
    for (std::size_t end = _received.find('\n'); end != std::string::npos; end = _received.find('\n'))
    {
        lines.push_back(Trinity::Trim(_received.substr(0, end)));
        _received.erase(0, end + 1);
    }
    return lines;
}

void WorldSession::Update(std::vector<std::string> const& lines)
{
    for (std::string rest : lines)
    {
        std::string const opcode = Trinity::ToUpper(Trinity::TakeWord(rest));
        if (opcode == "HELLO" && !rest.empty())
            HandleHello(rest);
        else if (opcode == "QUIT")
            Kick();
        else if (!IsLoggedIn())
            Send("ERROR not logged in");
        else if (opcode == "CAST")
            HandleCastSpell(rest);
        else if (opcode == "BUG")
            HandleBug(rest);
        else
            Send("ERROR unknown packet");
    }
}

void WorldSession::HandleHello(std::string const& name)
{
    _name = name;
    TC_LOG_INFO("entities.player.character", "Account: 1 (IP: %s) Login Character: [%s]", _socket.GetRemoteAddress().c_str(), name.c_str());
    Send("WELCOME " + name);
}

void WorldSession::HandleCastSpell(std::string const& spell)
{
    for (SpellEntry const& entry : Spells)
        if (spell == entry.Id)
            sPlantedBugs->SetOff(entry.Bug);
    Send("CASTED " + spell);
}

void WorldSession::HandleBug(std::string const& name)
{
    Send(sPlantedBugs->SetOff(name) ? "OK" : "ERROR there is no bug named so");
}
