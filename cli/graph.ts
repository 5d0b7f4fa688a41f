import { writeFile } from 'node:fs/promises';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { mermaid, type Segments, svg } from '../pipelines/inspect/index.js';
import { groupsOf, isInline } from '../pipelines/plan/segments.js';
import type { Settings } from '../workers/settings.js';
import { findPipeline } from './find-pipeline.js';
import { note, print } from './output.js';

export interface GraphOptions {
  readonly module?: string;
  readonly format: string;
  readonly out?: string;
}

/** The interpreter's division of plans into segments. */
export const SEGMENTS: Segments = { groupsOf, isInline };

/** `millrace graph`: renders a pipeline as a Mermaid flowchart or as SVG. No server is called. */
export async function graph(settings: Settings, name: string, { module, format, out }: GraphOptions): Promise<void> {
  const render = { mermaid, svg }[format];
  if (!render) throw new MillraceError('INVALID_INPUT', `--format: unknown format "${format}"; known: mermaid, svg`);
  const { plan } = await findPipeline(settings, name, module);
  const text = render(plan, SEGMENTS);
  if (out === undefined) return print(text.trimEnd());
  await writeFile(out, text).catch((error: unknown) => {
    throw new MillraceError('INVALID_INPUT', `--out: cannot write ${out}: ${messageOf(error)}`);
  });
  note(`wrote ${out}`);
}
