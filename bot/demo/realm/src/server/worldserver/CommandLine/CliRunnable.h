#pragma once

// The console's thread: reads commands from standard input. Its end (EOF) stops the server, except on Windows.
void CliThread();
