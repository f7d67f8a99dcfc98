#pragma once

// More mistakes, for the recorded crashes alone: what compilers and debuggers spell in their own ways each.
void CountMissing();
void VisitNobody();
void LookBehindTheEnd();
void ShareNothing();
void EndHalfBuilt();
void ReadCooldown();
void SummonTotem();
void SummonPet();
void StopWorld();
void LeaveGuild();
void LeaveArena();
