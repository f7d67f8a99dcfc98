#include "Debug/PlantedBugs.h"
#include "Lifecycle/DeferredLogin.h"
#include "Logging/Log.h"
#include "Loot/Loot.h"
#include "Maps/Map.h"
#include "PlayerbotMgr.h"

namespace
{
    // A bot that has a quest logs out.
    void LogoutWithQuest()
    {
        BotAI* bot = sPlayerbotMgr->GetBot(0);
        bot->GetSystems()->GetQuestManager()->AcceptQuest(783);
        sPlayerbotMgr->LogoutBot(bot);
    }

    // An aura runs out at once; the bot's next update meets it.
    void ApplyExpiredAura()
    {
        sPlayerbotMgr->GetBot(0)->GetPlayer()->AddAura(new Aura(8326, 0));
    }

    // A second cast brings one effect that is in force already.
    void RefreshAura()
    {
        AuraApplication& application = sPlayerbotMgr->GetBot(0)->GetPlayer()->GetAuraApplication();
        application.UpdateApplyEffectMask(1);
        application.UpdateApplyEffectMask(3);
    }

    // Enough models for the tree to be divided.
    void SpawnModels()
    {
        sMap->InsertGameObjectModels(8);
    }

    // Somebody has left the map before his relocation was handled.
    void LeaveMap()
    {
        sMap->AddRelocation(2);
        sMap->AddRelocation(0);
    }

    // Two bots follow each other.
    void FollowEachOther()
    {
        Player* second = sPlayerbotMgr->GetBot(1)->GetPlayer();
        Player* first = sPlayerbotMgr->GetBot(0)->GetPlayer();
        first->Follow(second);
        second->Follow(first);
        sPlayerbotMgr->LogActions();
    }

    // A pocket is emptied and then forgotten.
    void ClearLoot()
    {
        Loot loot;
        loot.AddItem(2589, 4);
        loot.Clear();
    }

    // The login of a bot that has gone is finished some time after the server is up.
    void DeferLogin()
    {
        sDeferredLogin->Defer("Wanderer");
    }

    struct Entry
    {
        char const* Name;
        void (*Trigger)();
    };

    constexpr Entry Entries[] = {
        { "dispatcher", LogoutWithQuest },
        { "aura", ApplyExpiredAura },
        { "assert", RefreshAura },
        { "bih", SpawnModels },
        { "freeze", LeaveMap },
        { "recursion", FollowEachOther },
        { "doublefree", ClearLoot },
        { "late", DeferLogin },
    };

    constexpr uint32 AnswerTime = 200; // ms
}

PlantedBugs* PlantedBugs::instance()
{
    static PlantedBugs instance;
    return &instance;
}

bool PlantedBugs::SetOff(std::string const& name)
{
    for (Entry const& entry : Entries)
    {
        if (name != entry.Name)
            continue;
        TC_LOG_INFO("playerbots", "Somebody sets off '%s'", entry.Name);
        _pending.push_back({ entry.Trigger, AnswerTime });
        return true;
    }
    return false;
}

TC_NOINLINE void PlantedBugs::Update(uint32 diff)
{
    std::vector<Pending> due;
    due.swap(_pending);
    for (Pending& pending : due)
    {
        if (pending.Delay > diff)
            _pending.push_back({ pending.Trigger, pending.Delay - diff });
        else
            pending.Trigger();
    }
}

std::string PlantedBugs::List() const
{
    std::string names;
    for (Entry const& entry : Entries)
        names += std::string(names.empty() ? "" : " ") + entry.Name;
    return names;
}
