#include "CommandLine/CliRunnable.h"
#include "Configuration/Config.h"
#include "Debugging/Errors.h"
#include "Logging/Log.h"
#include "Network/Socket.h"
#include "Platform/Process.h"
#include "RemoteAccess/RASession.h"
#include "Revision/GitRevision.h"
#include "Server/WorldSocketMgr.h"
#include "TCSoap/TCSoap.h"
#include "World/FreezeDetector.h"
#include "World/World.h"
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace
{
    constexpr uint32 WorldSleepConst = 50; // ms between two updates

    struct Arguments
    {
        std::string ConfigFile = "worldserver.conf";
        bool Version = false;
        bool Help = false;
        std::string Error;
    };

    Arguments ParseArguments(int argc, char** argv)
    {
        Arguments arguments;
        for (int at = 1; at < argc; ++at)
        {
            std::string const argument = argv[at];
            if (argument == "--version" || argument == "-v")
                arguments.Version = true;
            else if (argument == "--help" || argument == "-h")
                arguments.Help = true;
            else if ((argument == "-c" || argument == "--config") && at + 1 < argc)
                arguments.ConfigFile = argv[++at];
            else if (argument.compare(0, 9, "--config=") == 0)
                arguments.ConfigFile = argument.substr(9);
            else
                arguments.Error = "unrecognised option '" + argument + "'";
        }
        return arguments;
    }

    void ShowBanner(std::string const& configFile)
    {
        TC_LOG_INFO("server.worldserver", "%s (worldserver-daemon)", GitRevision::GetFullVersion());
        TC_LOG_INFO("server.worldserver", "<Ctrl-C> to stop.");
        TC_LOG_INFO("server.worldserver", "Using configuration file %s.", configFile.c_str());
    }

    bool WritePidFile()
    {
        std::string const path = sConfigMgr->GetStringDefault("PidFile", "");
        if (path.empty())
            return true;
        std::FILE* file = std::fopen(path.c_str(), "w");
        if (!file)
        {
            TC_LOG_ERROR("server.worldserver", "Cannot create PID file %s.", path.c_str());
            return false;
        }
        std::fprintf(file, "%u", Platform::GetProcessId());
        std::fclose(file);
        TC_LOG_INFO("server.worldserver", "Daemon PID: %u", Platform::GetProcessId());
        return true;
    }

    uint16 GetPort(char const* key, int32 fallback)
    {
        return static_cast<uint16>(sConfigMgr->GetIntDefault(key, fallback));
    }

    void StartConsoles(RAServer& ra, SoapServer& soap)
    {
        if (sConfigMgr->GetBoolDefault("Ra.Enable", false))
            ra.Start(sConfigMgr->GetStringDefault("Ra.IP", "0.0.0.0"), GetPort("Ra.Port", 3443));
        if (sConfigMgr->GetBoolDefault("SOAP.Enabled", false))
            soap.Start(sConfigMgr->GetStringDefault("SOAP.IP", "127.0.0.1"), GetPort("SOAP.Port", 7878));
    }

    void StartFreezeDetector(FreezeDetector& detector)
    {
        int32 const seconds = sConfigMgr->GetIntDefault("MaxCoreStuckTime", 60);
        if (seconds <= 0)
            return;
        detector.Start(static_cast<uint32>(seconds) * 1000);
        TC_LOG_INFO("server.worldserver", "Starting up anti-freeze thread (%i seconds max stuck time)...", seconds);
    }

    TC_NOINLINE void WorldUpdateLoop()
    {
        uint64 previous = Platform::GetMSTime();
        while (!World::IsStopped())
        {
            ++World::m_worldLoopCounter;
            uint64 const now = Platform::GetMSTime();
            sWorld->Update(static_cast<uint32>(now - previous));
            previous = now;
            Platform::Sleep(WorldSleepConst);
        }
    }

    int RunServer()
    {
        sWorld->SetInitialWorldSettings();

        RAServer ra;
        SoapServer soap;
        StartConsoles(ra, soap);
        if (!sWorldSocketMgr->StartWorldNetwork(sConfigMgr->GetStringDefault("BindIP", "0.0.0.0"), GetPort("WorldServerPort", 8085)))
        {
            TC_LOG_ERROR("server.worldserver", "Failed to initialize network");
            World::StopNow(ERROR_EXIT_CODE);
            sWorld->RefuseCliCommands();
            return ERROR_EXIT_CODE;
        }

        FreezeDetector freezeDetector;
        StartFreezeDetector(freezeDetector);
        TC_LOG_INFO("server.worldserver", "%s (worldserver-daemon) ready...", GitRevision::GetFullVersion());

        std::thread cli;
        if (sConfigMgr->GetBoolDefault("Console.Enable", true))
            cli = std::thread(&CliThread);

        WorldUpdateLoop();

        freezeDetector.Stop();
        sWorld->KickAll();
        sWorld->RefuseCliCommands();
        soap.Stop();
        ra.Stop();
        sWorldSocketMgr->StopNetwork();
        Platform::Sleep(static_cast<uint32>(sConfigMgr->GetIntDefault("Realm.StopDelay", 0)));
#ifdef _WIN32
        if (cli.joinable())
            cli.detach(); // it may be inside a read that nobody ends
#else
        if (cli.joinable())
            cli.join();
#endif
        TC_LOG_INFO("server.worldserver", "Halting process...");
        return World::GetExitCode();
    }
}

int main(int argc, char** argv)
{
    std::signal(SIGABRT, &Trinity::AbortHandler);

    Arguments const arguments = ParseArguments(argc, argv);
    if (arguments.Version || arguments.Help)
    {
        std::printf("%s\n", GitRevision::GetFullVersion());
        if (arguments.Help)
            std::printf("Options:\n  -h, --help\n  -v, --version\n  -c, --config FILE\n");
        return SHUTDOWN_EXIT_CODE;
    }
    std::string error = arguments.Error;
    if (!error.empty() || !sConfigMgr->Load(arguments.ConfigFile, error) || !Net::Startup())
    {
        std::fprintf(stderr, "Error in config file: %s\n", error.c_str());
        return ERROR_EXIT_CODE;
    }

    sLog->Open(sConfigMgr->GetStringDefault("LogsDir", ""));
    ShowBanner(arguments.ConfigFile);
    if (!WritePidFile())
        return ERROR_EXIT_CODE;
    Platform::OnStopSignal([] { World::StopNow(SHUTDOWN_EXIT_CODE); });
    return RunServer();
}
