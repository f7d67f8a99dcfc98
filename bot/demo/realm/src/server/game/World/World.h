#pragma once

#include "Define.h"
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

enum ShutdownExitCode : uint8
{
    SHUTDOWN_EXIT_CODE = 0,
    ERROR_EXIT_CODE = 1,
    RESTART_EXIT_CODE = 2
};

struct CommandResult
{
    bool Success = false;
    std::string Output; // lines, each ended by CR LF
};

// A command of a console, RA or SOAP: asked from their threads, carried out by the world thread.
struct CliCommandHolder
{
    explicit CliCommandHolder(std::string command) : Command(std::move(command)) { }

    std::string Command;
    std::promise<CommandResult> Finished;
};

class World
{
public:
    static World* instance();

    // Async-signal-safe: the first call of all decides the exit code.
    static void StopNow(uint8 exitcode);
    static bool IsStopped() { return _stopEvent; }
    static uint8 GetExitCode() { return _exitCode; }

    static std::atomic<uint32> m_worldLoopCounter;

    void SetInitialWorldSettings();
    void Update(uint32 diff);

    std::future<CommandResult> QueueCliCommand(std::string command);
    // After the last update: whoever still waits is told.
    void RefuseCliCommands();

    // A delay of 0 stops at once.
    void ShutdownServ(uint32 seconds, bool restart, uint8 exitcode, std::string const& reason);
    bool ShutdownCancel();
    bool IsShuttingDown() const { return _shutdownTimer > 0; }
    uint32 GetShutDownTimeLeft() const { return _shutdownTimer; }

    // The countdown of a shutdown is raised to this while others are connected.
    uint32 GetForceShutdownThreshold() const { return _forceShutdownThreshold; }

    void SaveAll(char const* why);
    void KickAll();

    uint32 GetUptime() const;
    uint32 GetUpdateDiff() const { return _updateDiff; }

private:
    void ProcessCliCommands();
    void UpdateShutdown(uint32 diff);
    void UpdateSaving(uint32 diff);
    void ShutdownMsg() const;

    static std::atomic<bool> _stopEvent;
    static std::atomic<uint8> _exitCode;

    std::mutex _commandLock;
    std::vector<std::unique_ptr<CliCommandHolder>> _commands;
    bool _refusesCommands = false;

    uint32 _shutdownTimer = 0;      // seconds left, 0 = none
    uint32 _shutdownSecondPart = 0; // ms since the last whole second
    bool _shutdownIsRestart = false;
    uint8 _shutdownExitCode = SHUTDOWN_EXIT_CODE;
    std::string _shutdownReason;

    uint32 _forceShutdownThreshold = 30;
    uint32 _saveInterval = 0; // ms, 0 = never
    uint32 _sinceSave = 0;    // ms
    uint64 _startTime = 0;    // ms
    uint32 _updateDiff = 0;   // ms
};

#define sWorld World::instance()
