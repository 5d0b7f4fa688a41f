import { z } from 'zod';

/** First port of the first stack of a machine. */
export const BASE_PORT = 7400;

/** Shortest secret chosen by a person: 16 random bytes in hex. */
export const SHORTEST_SECRET = 32;

export const port = (about: string, fallback: number) =>
  z.coerce.number().int().min(1).max(65_535).default(fallback).describe(about);
export const ms = (about: string, fallback: number) =>
  z.coerce.number().int().positive().default(fallback).describe(about);
export const bytes = (about: string, fallback: number) =>
  z.coerce.number().int().positive().default(fallback).describe(about);
export const list = (about: string, shortest = 1) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((s) => s.trim())
        .filter(Boolean),
    )
    .pipe(z.array(z.string().min(shortest)).min(1))
    .optional()
    .describe(about);
