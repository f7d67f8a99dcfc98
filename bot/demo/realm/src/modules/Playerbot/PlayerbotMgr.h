#pragma once

#include "Core/GameSystemsManager.h"
#include "Define.h"
#include "Entities/Unit.h"
#include <memory>
#include <string>
#include <vector>

// One bot: its character, and what plays it.
class BotAI
{
public:
    explicit BotAI(std::string name) : _player(std::move(name)) { }
    ~BotAI();

    void Update(uint32 diff);

    Player* GetPlayer() { return &_player; }
    GameSystemsManager* GetSystems() { return &_systems; }

private:
    Player _player;
    GameSystemsManager _systems;
};

// All bots. Their progress lives in memory, and is safe once it stands in Realm.CharactersFile.
class PlayerbotMgr
{
public:
    static PlayerbotMgr* instance();

    void Load();
    void Update(uint32 diff);
    void SaveAll(char const* why);
    void LogoutBot(BotAI* bot);
    void LogoutAll();
    void LogActions();

    uint32 GetBotCount() const { return static_cast<uint32>(_bots.size()); }
    // The bot at this place, logged in now if there are not so many.
    BotAI* GetBot(uint32 index);
    Player* FindBot(std::string const& name);
    // "Bots: 3, total experience 120"
    std::string Describe() const;

private:
    BotAI* Login(std::string const& name);
    uint64 GetTotalExperience() const;

    std::vector<std::unique_ptr<BotAI>> _bots;
    std::string _charactersFile;
    uint32 _sinceActions = 0; // ms
};

#define sPlayerbotMgr PlayerbotMgr::instance()
