#include "Configuration/Config.h"
#include "Utilities/Text.h"
#include <cctype>
#include <cstdlib>
#include <fstream>

ConfigMgr* ConfigMgr::instance()
{
    static ConfigMgr instance;
    return &instance;
}

bool ConfigMgr::Load(std::string const& path, std::string& error)
{
    std::ifstream file(path);
    if (!file)
    {
        error = "cannot open " + path;
        return false;
    }

    std::string line;
    for (uint32 number = 1; std::getline(file, line); ++number)
    {
        line = Trinity::Trim(line);
        if (line.empty() || line[0] == '#' || line[0] == '[')
            continue;
        std::size_t const equals = line.find('=');
        if (equals == std::string::npos)
        {
            error = path + ":" + std::to_string(number) + ": no '=' in \"" + line + "\"";
            return false;
        }
        std::string value = Trinity::Trim(line.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        _options[Trinity::Trim(line.substr(0, equals))] = value;
    }
    return true;
}

std::string ConfigMgr::IniKeyToEnvVarKey(std::string const& key)
{
    std::string name = "TC_";
    for (std::size_t at = 0; at < key.size(); ++at)
    {
        unsigned char const letter = static_cast<unsigned char>(key[at]);
        bool const wordBegins = at > 0 && std::isupper(letter) && std::islower(static_cast<unsigned char>(key[at - 1]));
        if (wordBegins)
            name += '_';
        name += std::isalnum(letter) ? static_cast<char>(std::toupper(letter)) : '_';
    }
    return name;
}

std::string ConfigMgr::GetStringDefault(std::string const& key, std::string const& fallback) const
{
    if (char const* overridden = std::getenv(IniKeyToEnvVarKey(key).c_str()))
        return overridden;
    auto itr = _options.find(key);
    return itr == _options.end() ? fallback : itr->second;
}

int32 ConfigMgr::GetIntDefault(std::string const& key, int32 fallback) const
{
    return static_cast<int32>(Trinity::ParseNumber(GetStringDefault(key, ""), fallback));
}

bool ConfigMgr::GetBoolDefault(std::string const& key, bool fallback) const
{
    std::string const value = Trinity::ToUpper(GetStringDefault(key, fallback ? "1" : "0"));
    return value == "1" || value == "TRUE" || value == "YES";
}
