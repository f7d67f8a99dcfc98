#include "Debug/MoreBugs.h"
#include "Debugging/Errors.h"
#include "Define.h"
#include <algorithm>
#include <functional>
#include <vector>

// A lambda, below the C++ library.
TC_NOINLINE void CountMissing()
{
    static int* volatile counter = nullptr;
    std::vector<int> const guids = { 1, 2, 3 };
    std::for_each(guids.begin(), guids.end(), [](int guid) { *counter += guid; });
}

// A function template, of two types, in an anonymous namespace.
namespace
{
    struct Creature
    {
        int Health = 1;
    };

    template <typename Kind>
    struct GridVisitor
    {
        TC_NOINLINE int Visit(Kind* volatile* who)
        {
            return (*who)->Health;
        }
    };
}

TC_NOINLINE void VisitNobody()
{
    static Creature* volatile nobody = nullptr;
    static volatile int seen = 0;
    seen = GridVisitor<Creature>().Visit(&nobody);
}

// An exception of the C++ library that nobody catches.
TC_NOINLINE void LookBehindTheEnd()
{
    static volatile std::size_t index = 99;
    static volatile int seen = 0;
    std::vector<int> const slots(4);
    seen = slots.at(index);
}

// A division by zero.
TC_NOINLINE void ShareNothing()
{
    static volatile int players = 0;
    static volatile int share = 100;
    share = share / players;
}

// A virtual call on an object in destruction.
namespace
{
    struct Effect
    {
        TC_NOINLINE void Stop()
        {
            OnStop();
        }
        virtual ~Effect()
        {
            Stop();
        }
        virtual void OnStop() = 0;
    };

    struct Glow : Effect
    {
        void OnStop() override
        {
        }
    };
}

TC_NOINLINE void EndHalfBuilt()
{
    Glow glow;
}

// An operator.
namespace
{
    struct Cooldowns
    {
        int* volatile Times = nullptr;
        TC_NOINLINE int operator()(int spell) const
        {
            return Times[spell];
        }
    };
}

TC_NOINLINE void ReadCooldown()
{
    static volatile int seen = 0;
    seen = Cooldowns()(7);
}

// One assertion in two functions: two bugs.
namespace
{
    int* volatile owner = nullptr;
}

TC_NOINLINE void SummonTotem()
{
    ASSERT(owner);
}

TC_NOINLINE void SummonPet()
{
    ASSERT(owner);
}

// An abort with a message.
TC_NOINLINE void StopWorld()
{
    static volatile int map = 571;
    ABORT_MSG("Map %i has no grid", int(map));
}

// The same plumbing below two functions: two bugs.
class LinkedListElement
{
public:
    void delink()
    {
        _next->_previous = _previous;
        _previous->_next = _next;
    }

private:
    LinkedListElement* volatile _next = nullptr;
    LinkedListElement* volatile _previous = nullptr;
};

TC_NOINLINE void LeaveGuild()
{
    LinkedListElement member;
    member.delink();
}

TC_NOINLINE void LeaveArena()
{
    LinkedListElement fighter;
    fighter.delink();
}
