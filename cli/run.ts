import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { MillraceClient, type PipelineDocument, type RunDocument } from '../client/index.js';
import { audioFields } from '../client/live-run.js';
import { didYouMean } from '../pipelines/did-you-mean.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { invalidField } from '../pipelines/invalid-fields.js';
import type { Priority } from '../pipelines/plan/index.js';
import { gatewayUrl } from '../workers/endpoints.js';
import type { Settings } from '../workers/settings.js';
import { bold, EXIT, note, print, printJson, red, show, table } from './output.js';
import { playOrWrite } from './play.js';
import { type InputOptions, inputOf, properties } from './run-input.js';
import { changes, saveMedia, stageTable, watch } from './run-view.js';

interface RunOptions extends InputOptions {
  readonly out: string;
  readonly tenant?: string;
  readonly outputs?: string;
  readonly priority?: string;
  readonly json?: boolean;
  readonly play?: boolean;
}

/** `millrace run`: exit 0 if the run succeeded, 1 if it failed or its media could not be saved. */
export async function runPipeline(settings: Settings, name: string, options: RunOptions): Promise<void> {
  const client = clientOf(settings, options.tenant);
  const field = options.play ? await spokenBy(client, name) : undefined;
  const input = await inputOf(options, () => find(client, name));
  await makeFolder(options.out);
  const { outputs, priority } = options;
  const started = await client.start(name, input, {
    ...(outputs && { outputs: outputs.split(',') }),
    ...(priority && { priority: priority as Priority }),
    retries: 0,
  });
  if (field === undefined) return await finish(client, started, options);
  const audio = client.audio(started.id, field, { format: 'wav' });
  const file = path.join(options.out, `${started.id}-${field}-live.wav`);
  // A run that fails says why itself.
  const heard = playOrWrite(audio, file, note).catch((error: unknown) => note(`not played: ${messageOf(error)}`));
  await finish(client, started, options);
  await heard;
}

/**
 * Makes the folder for media, before anything is started. Throws `INVALID_INPUT` if it cannot be written to. The working
 * directory may be read-only: not every output has media.
 */
async function makeFolder(out: string): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    if (path.resolve(out) !== process.cwd()) await access(out, constants.W_OK);
  } catch (error) {
    throw invalidField('--out', `cannot write to ${path.resolve(out)}: ${messageOf(error)}`);
  }
}

/** The field of a pipeline's output that is played. Throws `INVALID_INPUT` unless it has exactly one with audio. */
async function spokenBy(client: MillraceClient, name: string): Promise<string> {
  const fields = audioFields(await find(client, name));
  if (fields.length === 1) return fields[0] as string;
  throw new MillraceError('INVALID_INPUT', `--play: the output of "${name}" has ${fields.length} fields with audio`);
}

interface ResumeOptions extends Pick<RunOptions, 'out' | 'tenant' | 'json'> {
  readonly repeat?: boolean;
}

/** `millrace resume`: as `millrace run`, resuming an ended run. */
export async function resumeRun(settings: Settings, id: string, options: ResumeOptions): Promise<void> {
  const client = clientOf(settings, options.tenant);
  await makeFolder(options.out);
  await finish(client, await client.resume(id, { repeat: options.repeat === true }), options);
}

/** Watches a run until it has ended and shows its output, also where its media cannot be saved. */
async function finish(
  client: MillraceClient,
  started: Pick<RunDocument, 'id' | 'links'>,
  options: Pick<RunOptions, 'out' | 'json'>,
): Promise<void> {
  note(`run ${started.id}\n${started.links.ui}`);
  const news = changes();
  const run = await watch(client, started.id, ({ stages = [] }) => {
    for (const line of news(stages)) note(line);
  });
  let complete = run.status === 'succeeded';
  const files = await saveMedia(client, run, options.out, (field, error) => {
    complete = false;
    note(`${field} is not saved in ${path.resolve(options.out)}: ${messageOf(error)}`);
  });
  if (options.json) printJson({ ...run, files });
  else showRun(run, files);
  process.exitCode = complete ? EXIT.ok : EXIT.failed;
}

/** `millrace pipelines` */
export async function listPipelines(settings: Settings, options: { json?: boolean }): Promise<void> {
  const pipelines = await clientOf(settings).pipelines();
  if (options.json) return printJson(pipelines);
  const rows = pipelines.map(({ name, version, description, input }) => [
    name,
    version,
    Object.keys(properties(input)).join(', '),
    description,
  ]);
  print(table(['pipeline', 'version', 'input', 'description'], rows));
}

function showRun(run: RunDocument, files: Readonly<Record<string, string>>): void {
  if (run.stages) show(stageTable(run.stages));
  for (const [name, value] of Object.entries(run.output ?? {})) {
    show(`${bold(name)}: ${files[name] ?? (typeof value === 'string' ? value : JSON.stringify(value))}`);
  }
  if (run.error) {
    const { code, message, at } = run.error;
    show(red(`${code}: ${message}${at === undefined ? '' : ` (${at})`}`));
  }
}

async function find(client: MillraceClient, name: string): Promise<PipelineDocument> {
  const pipelines = await client.pipelines();
  const found = pipelines.find((pipeline) => pipeline.name === name);
  if (found) return found;
  const meant = didYouMean(
    name,
    pipelines.map((pipeline) => pipeline.name),
  );
  throw new MillraceError('INVALID_INPUT', `no pipeline is named "${name}"; "millrace pipelines" lists them${meant}`);
}

export const clientOf = (settings: Settings, tenant?: string): MillraceClient =>
  new MillraceClient({
    baseUrl: gatewayUrl(settings),
    ...(settings.MILLRACE_API_KEY !== undefined && { key: settings.MILLRACE_API_KEY }),
    ...(tenant !== undefined && { tenant }),
  });
