import { z } from 'zod';
import { isJsonObject } from '../json.js';

/** Whether a value says anything: null and an empty text are what callers send for a field of a form that nobody has filled in. */
export const isGiven = (value: unknown): boolean => value !== null && value !== '';

/** A schema of an object that drops these fields, all of them optional, where they say nothing. */
export const unlessGiven = (schema: z.ZodType, fields: readonly string[]): z.ZodType =>
  z.preprocess((value) => (isJsonObject(value) ? givenOf(value, fields) : value), schema);

const givenOf = (value: object, fields: readonly string[]): object =>
  Object.fromEntries(Object.entries(value).filter(([name, each]) => !fields.includes(name) || isGiven(each)));
