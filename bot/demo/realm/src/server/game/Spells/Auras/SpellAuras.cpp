#include "Spells/Auras/SpellAuras.h"
#include "Entities/Unit.h"
#include <algorithm>
#include <cstdlib>
#include <new>

void* Aura::operator new(std::size_t size)
{
    if (void* memory = std::malloc(size))
        return memory;
    throw std::bad_alloc();
}

void Aura::operator delete(void* memory, std::size_t size)
{
    // volatile: writing to what is about to be freed would else be left out
    volatile unsigned char* bytes = static_cast<volatile unsigned char*>(memory);
    for (std::size_t at = 0; at < size; ++at)
        bytes[at] = 0xDD;
    std::free(memory);
}

void Aura::Update(Unit* target, uint32 diff)
{
    target->OnAuraTick(_spellId);
    _duration -= std::min(_duration, diff);
}
