#include "Core/EventDispatcher.h"
#include <algorithm>

TC_NOINLINE void EventDispatcher::Register(uint32 channel)
{
    _channels.push_back(channel);
}

TC_NOINLINE void EventDispatcher::Subscribe(IEventHandler* handler)
{
    _subscribers.push_back(handler);
}

TC_NOINLINE void EventDispatcher::UnsubscribeAll(IEventHandler* handler)
{
    ++_published;
    _subscribers.erase(std::remove(_subscribers.begin(), _subscribers.end(), handler), _subscribers.end());
}

TC_NOINLINE void EventDispatcher::Publish(uint32 eventId)
{
    ++_published;
    for (IEventHandler* handler : _subscribers)
        handler->HandleEvent(eventId);
}
