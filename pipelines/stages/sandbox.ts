/** Most files that a program in a sandbox reads, and most that it makes. */
export const MOST_FILES = 16;
