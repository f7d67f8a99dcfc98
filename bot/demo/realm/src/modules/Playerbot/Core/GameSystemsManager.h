#pragma once

#include "Core/EventDispatcher.h"
#include "Core/QuestManager.h"
#include <memory>

// Owns what plays for one bot.
class GameSystemsManager
{
public:
    GameSystemsManager();
    ~GameSystemsManager();

    void Update(uint32 diff);

    EventDispatcher* GetEventDispatcher() const { return _eventDispatcher.get(); }
    QuestManager* GetQuestManager() const { return _questManager.get(); }

private:
    std::unique_ptr<EventDispatcher> _eventDispatcher;
    std::unique_ptr<QuestManager> _questManager;
    uint32 _age = 0; // ms
};
