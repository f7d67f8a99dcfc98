#include "Accounts/AccountMgr.h"
#include "Configuration/Config.h"
#include "Utilities/Text.h"

bool AccountMgr::CheckPassword(std::string const& name, std::string const& password)
{
    std::string const expectedName = sConfigMgr->GetStringDefault("Realm.ConsoleUser", "");
    std::string const expectedPassword = sConfigMgr->GetStringDefault("Realm.ConsolePassword", "");
    return !expectedName.empty() && Trinity::ToUpper(name) == Trinity::ToUpper(expectedName)
        && Trinity::ToUpper(password) == Trinity::ToUpper(expectedPassword);
}

int32 AccountMgr::GetSecurity()
{
    return sConfigMgr->GetIntDefault("Realm.ConsoleLevel", SEC_ADMINISTRATOR);
}
