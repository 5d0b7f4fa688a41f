import { MEDIA_KINDS } from '../../pipelines/media.js';
import { type Manifest, wrong } from './manifest.js';
import { block, comment, quoted } from './source-text.js';
import { type Needed, ZodSource } from './zod-source.js';

/** After this time without a heartbeat a Python worker counts as lost; it sends one every second. */
const HEARTBEAT = '5s';

/** The schema of Python's `Artifact`; its other classes are `audio()`, `image()`, `video()` and `file()`. */
const ARTIFACT = `/** A file in the artifact store, of any kind. */
const artifact = z.object({
  uri: z.string(),
  sha256: z.string(),
  mime: z.string(),
  bytes: z.int().min(0),
  durationMs: z.number().optional(),
  sampleRate: z.number().optional(),
  channels: z.number().optional(),
});
`;

/** The TypeScript module of a manifest: each stage as an `activity`, one that yields as an `activityStream`. The same manifest gives the same text. */
export function moduleSource({ queue: common, stages }: Manifest): string {
  const needed = new Set<Needed>();
  const uses = new Set<string>();
  const names = new Map<string, string>();
  const parts = stages.map(({ type, version, queue = common, heartbeat = HEARTBEAT, description, ...schemas }) => {
    const name = exportName(type);
    const other = names.get(name);
    if (other !== undefined)
      throw wrong(`stage "${type}"`, `would be exported as ${name}, as "${other}" is; rename one`);
    names.set(name, type);
    const schema = (side: 'input' | 'output' | 'entry') => {
      const root = schemas[side] ?? {};
      const source = new ZodSource(`stage "${type}" ${side}`, root);
      const text = source.of(root, '  ');
      for (const each of source.needed) needed.add(each);
      return `${side}: ${text}`;
    };
    const made = schemas.entry === undefined ? 'output' : 'entry';
    const options = [
      `queue: ${quoted(queue)}`,
      `type: ${quoted(type)}`,
      ...(version === undefined ? [] : [`version: ${quoted(version)}`]),
      ...(made === 'output' ? [`protocol: 'millrace'`] : []),
      `heartbeat: ${quoted(heartbeat)}`,
      schema('input'),
      schema(made),
    ];
    const said = description === undefined ? '' : comment(description);
    const use = made === 'output' ? 'activity' : 'activityStream';
    uses.add(use);
    return `${said}export const ${name} = ${use}(${block('{', options, '}', '')});\n`;
  });
  const streams = needed.has('streamOf') ? ['streamOf'] : [];
  const imported = [...[...uses].sort(), ...MEDIA_KINDS.filter((kind) => needed.has(kind)), ...streams];
  return [
    `// Made by \`millrace types\` from the manifest of the Python stages on the task queue ${quoted(common)}. Do not edit by hand.\n` +
      `import { ${imported.join(', ')} } from 'millrace';\nimport { z } from 'zod';\n`,
    ...(needed.has('artifact') ? [ARTIFACT] : []),
    ...parts,
  ].join('\n');
}

/** Words that cannot be the name of an export, and names that the module uses itself. */
const TAKEN = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends false ' +
    'finally for function if implements import in instanceof interface let new null package private protected public ' +
    'return static super switch this throw true try typeof var void while with yield activity activityStream streamOf audio image video file artifact z'
  ).split(' '),
);

/** `voice-activity` → `voiceActivity`, `delete` → `deleteStage`. */
function exportName(type: string): string {
  const [first = '', ...rest] = type.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const name = first + rest.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
  return TAKEN.has(name) ? `${name}Stage` : name;
}
