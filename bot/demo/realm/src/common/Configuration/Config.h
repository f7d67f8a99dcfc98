#pragma once

#include "Define.h"
#include <map>
#include <string>

// worldserver.conf: `Key = value` lines, # comments, [section] headers ignored. An environment variable overrides
// its key: Console.Enable is TC_CONSOLE_ENABLE, WorldServerPort is TC_WORLD_SERVER_PORT.
class ConfigMgr
{
public:
    static ConfigMgr* instance();

    // False, with the reason in error, when the file cannot be read or a line makes no sense.
    bool Load(std::string const& path, std::string& error);

    std::string GetStringDefault(std::string const& key, std::string const& fallback) const;
    int32 GetIntDefault(std::string const& key, int32 fallback) const;
    bool GetBoolDefault(std::string const& key, bool fallback) const;

    static std::string IniKeyToEnvVarKey(std::string const& key);

private:
    std::map<std::string, std::string> _options;
};

#define sConfigMgr ConfigMgr::instance()
