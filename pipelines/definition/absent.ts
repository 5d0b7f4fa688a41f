import type { z } from 'zod';
import { isJsonObject } from '../json.js';
import type { Binding } from '../plan/binding.js';
import { takes } from './converted-input.js';

/**
 * The binding of a field with the mark `absent`, if it is an operator whose value may be absent and the field may be left out but not be null.
 * Without the mark the value is null: that is what a field that takes null gets.
 */
export function keepingAbsent(binding: Binding, field: z.ZodType): Binding {
  if (!isJsonObject(binding)) return binding;
  const { $op, of } = binding;
  const mayBeAbsent = $op === 'get' || ($op === 'either' && Array.isArray(of) && of.length > 1);
  return mayBeAbsent && takes(field, undefined) && !takes(field, null) ? { ...binding, absent: true } : binding;
}
