/** As a shell gives it for a program that Ctrl-C ended. */
export const EXIT_INTERRUPTED = 130;
