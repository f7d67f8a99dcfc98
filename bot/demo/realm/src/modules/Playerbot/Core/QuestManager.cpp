#include "Core/QuestManager.h"
#include "Core/GameSystemsManager.h"

namespace
{
    constexpr uint32 QUEST_CHANNEL = 7;
    constexpr uint32 EVENT_QUEST_PROGRESS = 71;
}

QuestManager::QuestManager(GameSystemsManager* systems) : _systems(systems)
{
    _systems->GetEventDispatcher()->Register(QUEST_CHANNEL);
}

TC_NOINLINE QuestManager::~QuestManager()
{
    if (_questId)
        _systems->GetEventDispatcher()->UnsubscribeAll(this);
}

void QuestManager::AcceptQuest(uint32 questId)
{
    _questId = questId;
    _systems->GetEventDispatcher()->Subscribe(this);
}

TC_NOINLINE void QuestManager::Update(uint32 diff)
{
    _sincePublished += diff;
    if (_sincePublished < 500)
        return;
    _sincePublished = 0;
    _systems->GetEventDispatcher()->Publish(EVENT_QUEST_PROGRESS);
}

void QuestManager::HandleEvent(uint32 eventId)
{
    _heard += eventId == EVENT_QUEST_PROGRESS ? 1 : 0;
}
