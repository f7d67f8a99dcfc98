#include "Chat/ChatCommands.h"
#include "Debug/PlantedBugs.h"
#include "Logging/Log.h"
#include "PlayerbotMgr.h"
#include "Revision/GitRevision.h"
#include "Server/WorldSocketMgr.h"
#include "Utilities/Text.h"

namespace
{
    CommandResult Succeed(std::string const& line)
    {
        return { true, line.empty() ? "" : line + "\r\n" };
    }

    CommandResult Fail(std::string const& line)
    {
        return { false, line + "\r\n" };
    }

    CommandResult HandleServerInfo()
    {
        uint32 const players = sWorldSocketMgr->GetSessionCount();
        uint32 const bots = sPlayerbotMgr->GetBotCount();
        std::string text = std::string(GitRevision::GetFullVersion()) + "\r\n";
        text += Trinity::StringFormat("Players online: %u (max: %u)\r\n", players, sWorldSocketMgr->GetMaxSessionCount());
        text += Trinity::StringFormat("Active connections: %u (max: %u) Queued connections: 0 (max: 0)\r\n", players + bots,
            sWorldSocketMgr->GetMaxSessionCount() + bots);
        text += "Server uptime: " + Trinity::SecsToTimeString(sWorld->GetUptime()) + "\r\n";
        text += Trinity::StringFormat("Update time diff: %u ms\r\n", sWorld->GetUpdateDiff());
        if (sWorld->IsShuttingDown())
            text += "Server restart/shutdown in: " + Trinity::SecsToTimeString(sWorld->GetShutDownTimeLeft()) + "\r\n";
        return { true, text };
    }

    // [force] #delay [#exit_code] [reason]
    CommandResult HandleServerShutdown(std::string rest, bool restart)
    {
        char const* const usage = restart ? "Syntax: .server restart [force] #delay [#exit_code] [reason]"
                                          : "Syntax: .server shutdown [force] #delay [#exit_code] [reason]";
        if (rest.size() > 255)
            return Fail(usage);

        std::string word = Trinity::TakeWord(rest);
        bool const force = word == "force";
        if (force)
            word = Trinity::TakeWord(rest);
        int64_t delay = Trinity::TimeStringToSecs(word);
        if (delay < 0 || (delay == 0 && word != "0"))
            return Fail(usage);

        int64_t exitcode = restart ? RESTART_EXIT_CODE : SHUTDOWN_EXIT_CODE;
        std::string reason = rest;
        int64_t const given = Trinity::ParseNumber(Trinity::TakeWord(rest), -1);
        if (given >= 0)
        {
            if (given > 125)
                return Fail(usage);
            exitcode = given;
            reason = rest;
        }

        std::string said;
        bool const othersAreConnected = sWorldSocketMgr->GetSessionCount() + sPlayerbotMgr->GetBotCount() > 0;
        if (!force && othersAreConnected && delay < sWorld->GetForceShutdownThreshold())
        {
            delay = sWorld->GetForceShutdownThreshold();
            said = Trinity::StringFormat("Shutdown delayed to %u seconds because other sessions are connected (use force to override).",
                static_cast<uint32>(delay));
        }
        sWorld->ShutdownServ(static_cast<uint32>(delay), restart, static_cast<uint8>(exitcode), reason);
        return Succeed(said);
    }

    CommandResult HandleServerShutdownCancel()
    {
        return sWorld->ShutdownCancel() ? Succeed("Shutdown cancelled.") : Fail("No shutdown is in progress.");
    }

    CommandResult HandleServer(std::string rest)
    {
        std::string const verb = Trinity::TakeWord(rest);
        if (verb == "info")
            return HandleServerInfo();
        if (verb == "exit")
        {
            World::StopNow(SHUTDOWN_EXIT_CODE);
            return Succeed("Shutting down...");
        }
        if (verb == "shutdown" || verb == "restart")
            return rest == "cancel" ? HandleServerShutdownCancel() : HandleServerShutdown(rest, verb == "restart");
        return Fail("Syntax: .server exit|info|restart|shutdown");
    }

    CommandResult HandleSaveAll()
    {
        sWorld->SaveAll("saveall");
        return Succeed("All players saved.");
    }

    CommandResult HandleSay(std::string const& prefix, std::string const& text)
    {
        if (text.empty())
            return Fail("Syntax: .announce|notify $text");
        sWorldSocketMgr->SendGlobal(prefix + text);
        TC_LOG_INFO("chat.system", "%s%s", prefix.c_str(), text.c_str());
        return Succeed("");
    }

    CommandResult HandleBug(std::string const& name)
    {
        if (name.empty() || name == "list")
            return Succeed(sPlantedBugs->List());
        if (!sPlantedBugs->SetOff(name))
            return Fail("There is no bug named '" + name + "'. Known: " + sPlantedBugs->List());
        return Succeed("Bug '" + name + "' is set off.");
    }
}

CommandResult ChatCommands::Execute(std::string const& line)
{
    std::string rest = Trinity::Trim(line);
    if (!rest.empty() && rest[0] == '.')
        rest.erase(0, 1);
    std::string const verb = Trinity::TakeWord(rest);
    if (verb == "server")
        return HandleServer(rest);
    if (verb == "saveall")
        return HandleSaveAll();
    if (verb == "announce")
        return HandleSay("[SERVER] ", rest);
    if (verb == "notify")
        return HandleSay("[NOTICE] ", rest);
    if (verb == "bots")
        return Succeed(sPlayerbotMgr->Describe());
    if (verb == "bug")
        return HandleBug(rest);
    return Fail("Command '" + verb + "' does not exist");
}
