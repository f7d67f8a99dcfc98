#include "Entities/Unit.h"
#include <algorithm>

Unit::~Unit()
{
    for (Aura* aura : _auras)
        delete aura;
}

TC_NOINLINE void Unit::RemoveAura(Aura* aura)
{
    _auras.erase(std::remove(_auras.begin(), _auras.end(), aura), _auras.end());
    delete aura;
}

void Unit::OnAuraTick(uint32 spellId)
{
    _lastAuraTick = spellId;
}
