#pragma once

#include "Define.h"
#include <vector>

class IEventHandler
{
public:
    virtual ~IEventHandler() = default;
    virtual void HandleEvent(uint32 eventId) = 0;
};

// Delivers the events of one bot to its managers.
class EventDispatcher
{
public:
    void Register(uint32 channel);
    void Subscribe(IEventHandler* handler);
    void UnsubscribeAll(IEventHandler* handler);
    void Publish(uint32 eventId);

private:
    std::vector<IEventHandler*> _subscribers; // not owned
    std::vector<uint32> _channels;
    uint64 _published = 0;
};
