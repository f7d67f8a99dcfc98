#include "Core/GameSystemsManager.h"

TC_NOINLINE GameSystemsManager::GameSystemsManager()
{
    _eventDispatcher = std::make_unique<EventDispatcher>();
    _questManager = std::make_unique<QuestManager>(this);
}

TC_NOINLINE GameSystemsManager::~GameSystemsManager()
{
    // First of all no more events, so that none arrives at a manager that is half gone.
    _eventDispatcher.reset();
}

TC_NOINLINE void GameSystemsManager::Update(uint32 diff)
{
    _age += diff;
    _questManager->Update(diff);
}
