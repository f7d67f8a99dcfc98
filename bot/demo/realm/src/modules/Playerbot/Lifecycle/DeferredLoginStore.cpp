#include "Configuration/Config.h"
#include "Lifecycle/DeferredLogin.h"
#include "Logging/Log.h"
#include <cstdio>
#include <fstream>

namespace
{
    char const* const StoreFile = "deferred_login.txt";
}

DeferredLogin* DeferredLogin::instance()
{
    static DeferredLogin instance;
    return &instance;
}

void DeferredLogin::Load()
{
    _delay = static_cast<uint32>(sConfigMgr->GetIntDefault("Realm.LateSeconds", 45)) * 1000;
    std::ifstream file(StoreFile);
    std::getline(file, _name);
    if (!_name.empty())
        TC_LOG_INFO("playerbots", "The login of %s is finished in %u ms", _name.c_str(), _delay);
}

void DeferredLogin::Defer(std::string const& name)
{
    std::ofstream(StoreFile) << name << '\n';
    _name = name;
    _waited = 0;
}

void DeferredLogin::Finish()
{
    TC_LOG_INFO("playerbots", "The login of %s is finished", _name.c_str());
    _name.clear();
    std::remove(StoreFile);
}
