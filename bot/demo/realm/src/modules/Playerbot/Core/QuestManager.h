#pragma once

#include "Core/EventDispatcher.h"

class GameSystemsManager;

// Follows the quests of one bot; hears of their progress only while it has one.
class QuestManager : public IEventHandler
{
public:
    explicit QuestManager(GameSystemsManager* systems);
    ~QuestManager() override;

    void AcceptQuest(uint32 questId);
    void Update(uint32 diff);
    void HandleEvent(uint32 eventId) override;

private:
    GameSystemsManager* _systems;
    uint32 _questId = 0; // 0 = none
    uint32 _sincePublished = 0; // ms
    uint32 _heard = 0;
};
