import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Repository } from '../../../activities/connectors/index.js';
import { messageOf } from '../../../pipelines/errors.js';
import { invalidField } from '../../../pipelines/invalid-fields.js';
import { withFields } from '../../../placement/apply/index.js';
import { limited } from '../../../runtime/limited.js';

/** Loading compiles some models for minutes. */
const LOAD_MS = 10 * 60_000;
const UNLOAD_MS = 60_000;
const POLL_MS = 100;
const CONFIG = 'config.pbtxt';
/** First line of a trial's configuration, by which what a killed search has left is known. */
const MARK = '# A trial of millrace optimize: it is removed when the search ends.\n';
const ENDING = '-millrace-trial';

/**
 * A second model beside the author's in Triton's repository, made of links to its files, which gets one configuration after the other. The
 * author's model, its file and its callers are never touched, so that nothing has to be put back, whatever ends the search.
 */
export class TrialModel {
  readonly name: string;
  readonly #folder: string;
  readonly #repository: Repository;

  private constructor(folder: string, repository: Repository) {
    this.name = path.basename(folder);
    this.#folder = folder;
    this.#repository = repository;
  }

  /**
   * Makes the folder; what a killed search has left of it is removed first. Throws `INVALID_INPUT` if the folder of the
   * repository has no such model, or cannot be written.
   * @param models folder from which the server loads its models
   * @param field of the option that names the folder
   */
  static async open(
    repository: Repository,
    { models, model, field }: { readonly models: string; readonly model: string; readonly field: string },
  ): Promise<TrialModel> {
    const from = path.join(models, model);
    const folder = `${from}${ENDING}`;
    if (!existsSync(from)) throw invalidField(field, `${models} has no model "${model}"`);
    const trial = new TrialModel(folder, repository);
    if (existsSync(folder)) {
      if (!isTrial(folder)) throw invalidField(field, `${folder} is in the way, and not of millrace optimize`);
      await trial.close();
    }
    try {
      mkdirSync(folder);
      writeFileSync(path.join(folder, CONFIG), MARK);
      for (const name of readdirSync(from)) {
        // Relative, so that they hold where the server sees the repository under another path.
        if (name !== CONFIG) symlinkSync(path.join('..', model, name), path.join(folder, name));
      }
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw invalidField(field, `the trial model cannot be made in ${models}: ${messageOf(error)}`);
    }
    return trial;
  }

  /** Loads it with this configuration. Throws what the connector throws; the configuration before then stays loaded. */
  async use(config: string, signal: AbortSignal): Promise<void> {
    // It would have to be the folder's.
    writeFileSync(path.join(this.#folder, CONFIG), `${MARK}${withFields(config, { name: null })}`);
    await limited(LOAD_MS, signal, (own) => this.#repository.load(this.name, own));
  }

  /** Unloads it and removes its folder. Bounded; the folder goes in any case. */
  async close(): Promise<void> {
    try {
      await this.#unload(AbortSignal.timeout(UNLOAD_MS));
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** A load that was interrupted goes on at the server, and has to end first. */
  async #unload(signal: AbortSignal): Promise<void> {
    let asked = false;
    for (;;) {
      const state = (await this.#repository.states(signal)).get(this.name);
      if (state === undefined) return;
      if (state === 'ready' && !asked) {
        asked = true;
        await this.#repository.unload(this.name, signal);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

function isTrial(folder: string): boolean {
  const file = path.join(folder, CONFIG);
  return existsSync(file) && readFileSync(file, 'utf8').startsWith(MARK);
}
