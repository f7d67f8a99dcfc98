#include "PlayerbotMgr.h"
#include "Configuration/Config.h"
#include "Group/FollowChain.h"
#include "Logging/Log.h"
#include "Platform/Process.h"
#include "Utilities/Text.h"
#include <algorithm>
#include <fstream>

namespace
{
    constexpr uint32 ActionInterval = 2000; // ms
    char const* const Actions[] = { "attacks a Kobold Vermin", "gathers Peacebloom", "turns in a quest", "repairs at the smith",
        "walks to Goldshire" };

    std::string NameOf(uint32 index)
    {
        static char const* const Names[] = { "Ahnra", "Bex", "Corin", "Dalla", "Ervan", "Fenna", "Garrick", "Hessa" };
        std::string name = Names[index % 8];
        return index < 8 ? name : name + std::to_string(index / 8);
    }
}

TC_NOINLINE BotAI::~BotAI()
{
    _player.SetOnline(false);
}

TC_NOINLINE void BotAI::Update(uint32 diff)
{
    _player.GiveXP(1);
    _player.UpdateAuras(diff);
    _systems.Update(diff);
}

PlayerbotMgr* PlayerbotMgr::instance()
{
    static PlayerbotMgr instance;
    return &instance;
}

void PlayerbotMgr::Load()
{
    _charactersFile = sConfigMgr->GetStringDefault("Realm.CharactersFile", "characters.db.txt");
    std::ifstream file(_charactersFile);
    std::string line;
    while (std::getline(file, line))
    {
        std::vector<std::string> const fields = Trinity::Tokenize(line);
        if (fields.size() == 3)
            Login(fields[0])->GetPlayer()->GiveXP(std::strtoull(fields[2].c_str(), nullptr, 10));
    }
    uint32 const wanted = static_cast<uint32>(sConfigMgr->GetIntDefault("Realm.Bots", 3));
    for (uint32 i = 0; GetBotCount() < wanted; ++i)
        if (!FindBot(NameOf(i)))
            Login(NameOf(i));
    TC_LOG_INFO("server.loading", "Loaded %u characters, total experience %llu", GetBotCount(),
        static_cast<unsigned long long>(GetTotalExperience()));
}

BotAI* PlayerbotMgr::Login(std::string const& name)
{
    _bots.push_back(std::make_unique<BotAI>(name));
    TC_LOG_INFO("playerbots", "%s logs in", name.c_str());
    return _bots.back().get();
}

BotAI* PlayerbotMgr::GetBot(uint32 index)
{
    for (uint32 i = 0; GetBotCount() <= index; ++i)
        if (!FindBot(NameOf(i)))
            Login(NameOf(i));
    return _bots[index].get();
}

Player* PlayerbotMgr::FindBot(std::string const& name)
{
    for (auto& bot : _bots)
        if (bot->GetPlayer()->GetName() == name)
            return bot->GetPlayer();
    return nullptr;
}

TC_NOINLINE void PlayerbotMgr::Update(uint32 diff)
{
    for (auto& bot : _bots)
        bot->Update(diff);
    _sinceActions += diff;
    if (_sinceActions >= ActionInterval)
        LogActions();
}

TC_NOINLINE void PlayerbotMgr::LogActions()
{
    _sinceActions = 0;
    for (auto& bot : _bots)
    {
        Player const* player = bot->GetPlayer();
        TC_LOG_INFO("playerbots", "%s %s", DescribeFollowChain(player).c_str(), Actions[player->GetExperience() % 5]);
    }
}

TC_NOINLINE void PlayerbotMgr::LogoutBot(BotAI* bot)
{
    SaveAll("logout");
    TC_LOG_INFO("playerbots", "%s logs out", bot->GetPlayer()->GetName().c_str());
    auto const same = [bot](std::unique_ptr<BotAI> const& other) { return other.get() == bot; };
    for (auto& other : _bots)
        if (other->GetPlayer()->GetFollowTarget() == bot->GetPlayer())
            other->GetPlayer()->Follow(nullptr);
    _bots.erase(std::remove_if(_bots.begin(), _bots.end(), same), _bots.end());
}

void PlayerbotMgr::LogoutAll()
{
    _bots.clear();
}

void PlayerbotMgr::SaveAll(char const* why)
{
    std::string const finished = _charactersFile + ".new";
    std::ofstream file(finished, std::ios::trunc);
    for (auto& bot : _bots)
    {
        Player const* player = bot->GetPlayer();
        file << player->GetName() << ' ' << player->GetLevel() << ' ' << player->GetExperience() << '\n';
    }
    file.close();
    if (!file || !Platform::PutInPlace(finished, _charactersFile))
    {
        TC_LOG_ERROR("entities.player", "Cannot save characters to %s", _charactersFile.c_str());
        return;
    }
    TC_LOG_INFO("entities.player", "Saved %u characters, total experience %llu (%s)", GetBotCount(),
        static_cast<unsigned long long>(GetTotalExperience()), why);
}

std::string PlayerbotMgr::Describe() const
{
    return Trinity::StringFormat("Bots: %u, total experience %llu", GetBotCount(), static_cast<unsigned long long>(GetTotalExperience()));
}

uint64 PlayerbotMgr::GetTotalExperience() const
{
    uint64 total = 0;
    for (auto const& bot : _bots)
        total += bot->GetPlayer()->GetExperience();
    return total;
}
