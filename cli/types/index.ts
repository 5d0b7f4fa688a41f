import { readFileSync, writeFileSync } from 'node:fs';
import { messageOf } from '../../pipelines/errors.js';
import { print } from '../output.js';
import { readManifest, wrong } from './manifest.js';
import { moduleSource } from './module-source.js';

export interface TypesOptions {
  readonly out?: string;
}

/** `millrace types`: writes a TypeScript module for the stages of a Python manifest. `-` reads standard input. */
export function writeTypes(file: string, { out }: TypesOptions): void {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw wrong(file, `cannot be read: ${messageOf(error)}`);
  }
  const source = moduleSource(readManifest(text));
  if (out === undefined) print(source.trimEnd());
  else writeFileSync(out, source);
}
