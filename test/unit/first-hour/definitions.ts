import { DEFINITIONS } from './definition-mistakes.js';
import type { Mistake } from './mistake.js';
import { OPTIONS } from './option-mistakes.js';
import { REFERENCES } from './reference-mistakes.js';

export const MISTAKES: readonly (readonly [section: string, rows: readonly Mistake[]])[] = [
  ['References where values are expected', REFERENCES],
  ['The definition as a program', DEFINITIONS],
  ['Options', OPTIONS],
];
