#pragma once

#include "Define.h"
#include <cstddef>

class Unit;

// A spell that lasts on a unit.
class Aura
{
public:
    Aura(uint32 spellId, uint32 duration) : _spellId(spellId), _duration(duration) { }
    virtual ~Aura() = default;

    // Memory of auras that are gone is filled with 0xDD, so that a stale pointer is found at once.
    static void* operator new(std::size_t size);
    static void operator delete(void* memory, std::size_t size);

    virtual void Update(Unit* target, uint32 diff);

    uint32 GetId() const { return _spellId; }
    bool IsExpired() const { return _duration == 0; }

private:
    uint32 _spellId;
    uint32 _duration; // ms left
};

// What of an aura's effects is in force on its target.
class AuraApplication
{
public:
    static constexpr uint8 MAX_SPELL_EFFECTS = 3;

    // Puts in force the effects of the mask that are not yet.
    void UpdateApplyEffectMask(uint8 newEffectMask);

    bool HasEffect(uint8 effIndex) const { return (_effectMask & (1 << effIndex)) != 0; }

private:
    void _HandleEffect(uint8 effIndex, bool apply);

    uint8 _effectMask = 0;
};
