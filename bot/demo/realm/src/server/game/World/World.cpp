#include "World/World.h"
#include "Chat/ChatCommands.h"
#include "Configuration/Config.h"
#include "Debug/PlantedBugs.h"
#include "Lifecycle/DeferredLogin.h"
#include "Logging/Log.h"
#include "Maps/Map.h"
#include "Platform/Process.h"
#include "PlayerbotMgr.h"
#include "Server/WorldSocketMgr.h"
#include "Utilities/Text.h"

std::atomic<uint32> World::m_worldLoopCounter{ 0 };
std::atomic<bool> World::_stopEvent{ false };
std::atomic<uint8> World::_exitCode{ SHUTDOWN_EXIT_CODE };

World* World::instance()
{
    static World instance;
    return &instance;
}

void World::StopNow(uint8 exitcode)
{
    if (_stopEvent)
        return;
    _exitCode = exitcode;
    _stopEvent = true;
}

void World::SetInitialWorldSettings()
{
    static char const* const Steps[] = { "Loading item templates...", "Loading creature templates...", "Loading spells...",
        "Loading game objects...", "Loading maps...", "Loading player bots..." };

    uint64 const began = Platform::GetMSTime();
    uint32 const pause = static_cast<uint32>(sConfigMgr->GetIntDefault("Realm.StartDelay", 0)) / 6;
    _forceShutdownThreshold = static_cast<uint32>(sConfigMgr->GetIntDefault("ForceShutdownThreshold", 30));
    _saveInterval = static_cast<uint32>(sConfigMgr->GetIntDefault("Realm.SaveInterval", 900)) * 1000;

    TC_LOG_INFO("server.loading", "Initialize data stores...");
    for (char const* step : Steps)
    {
        TC_LOG_INFO("server.loading", "%s", step);
        Platform::Sleep(pause);
    }
    sMap->Load();
    sPlayerbotMgr->Load();
    sDeferredLogin->Load();

    _startTime = Platform::GetMSTime();
    uint64 const seconds = (_startTime - began) / 1000;
    TC_LOG_INFO("server.loading", "World initialized in %u minutes %u seconds", static_cast<uint32>(seconds / 60),
        static_cast<uint32>(seconds % 60));
}

TC_NOINLINE void World::Update(uint32 diff)
{
    _updateDiff = diff;
    ProcessCliCommands();
    sWorldSocketMgr->UpdateSessions();
    sPlantedBugs->Update(diff);
    sMap->Update(diff);
    sPlayerbotMgr->Update(diff);
    sDeferredLogin->Update(diff);
    UpdateSaving(diff);
    UpdateShutdown(diff);
}

std::future<CommandResult> World::QueueCliCommand(std::string command)
{
    auto holder = std::make_unique<CliCommandHolder>(std::move(command));
    std::future<CommandResult> finished = holder->Finished.get_future();

    std::lock_guard<std::mutex> guard(_commandLock);
    if (_refusesCommands)
        holder->Finished.set_value({ false, "The server is stopping.\r\n" });
    else
        _commands.push_back(std::move(holder));
    return finished;
}

void World::RefuseCliCommands()
{
    std::lock_guard<std::mutex> guard(_commandLock);
    _refusesCommands = true;
    for (auto& holder : _commands)
        holder->Finished.set_value({ false, "The server is stopping.\r\n" });
    _commands.clear();
}

void World::ProcessCliCommands()
{
    std::vector<std::unique_ptr<CliCommandHolder>> commands;
    {
        std::lock_guard<std::mutex> guard(_commandLock);
        commands.swap(_commands);
    }
    for (auto& holder : commands)
        holder->Finished.set_value(ChatCommands::Execute(holder->Command));
}

void World::ShutdownServ(uint32 seconds, bool restart, uint8 exitcode, std::string const& reason)
{
    if (seconds == 0)
    {
        StopNow(exitcode);
        return;
    }
    _shutdownTimer = seconds;
    _shutdownSecondPart = 0;
    _shutdownIsRestart = restart;
    _shutdownExitCode = exitcode;
    _shutdownReason = reason;
    ShutdownMsg();
}

bool World::ShutdownCancel()
{
    if (!_shutdownTimer)
        return false;
    _shutdownTimer = 0;
    sWorldSocketMgr->SendGlobal(_shutdownIsRestart ? "[SERVER] Restart cancelled." : "[SERVER] Shutdown cancelled.");
    TC_LOG_INFO("server.worldserver", "Server %s cancelled.", _shutdownIsRestart ? "restart" : "shutdown");
    return true;
}

void World::UpdateShutdown(uint32 diff)
{
    if (!_shutdownTimer)
        return;
    _shutdownSecondPart += diff;
    while (_shutdownTimer && _shutdownSecondPart >= 1000)
    {
        _shutdownSecondPart -= 1000;
        --_shutdownTimer;
        bool const worthSaying = _shutdownTimer < 12 || _shutdownTimer % 15 == 0;
        if (_shutdownTimer && worthSaying)
            ShutdownMsg();
    }
    if (!_shutdownTimer)
        StopNow(_shutdownExitCode);
}

void World::ShutdownMsg() const
{
    std::string text = _shutdownIsRestart ? "[SERVER] Restart in " : "[SERVER] Shutdown in ";
    text += Trinity::SecsToTimeString(_shutdownTimer) + ".";
    if (!_shutdownReason.empty())
        text += " - " + _shutdownReason;
    sWorldSocketMgr->SendGlobal(text);
    TC_LOG_INFO("server.worldserver", "Server is %s in %s", _shutdownIsRestart ? "restarting" : "shutting down",
        Trinity::SecsToTimeString(_shutdownTimer).c_str());
}

void World::UpdateSaving(uint32 diff)
{
    _sinceSave += diff;
    if (!_saveInterval || _sinceSave < _saveInterval)
        return;
    SaveAll("interval");
}

void World::SaveAll(char const* why)
{
    _sinceSave = 0;
    sPlayerbotMgr->SaveAll(why);
}

void World::KickAll()
{
    SaveAll("stop");
    sPlayerbotMgr->LogoutAll();
    sWorldSocketMgr->KickAll();
}

uint32 World::GetUptime() const
{
    return static_cast<uint32>((Platform::GetMSTime() - _startTime) / 1000);
}
