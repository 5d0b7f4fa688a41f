import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';

const READY_MS = 120_000;
const ANSWER_MS = 120_000;
const MOST_TOKENS = 160;
/** It ends at once; one that does not is killed. */
const STOP_MS = 5_000;
/** End of what it logs that a message quotes. */
const QUOTED = 600;

/** How the embedded LLM server is started; its weights and its port follow. */
export interface LlmProgram {
  readonly command: string;
  readonly args: readonly string[];
}

/** An answer with what llama.cpp reports of it (`timings` of its chat completions). */
export interface Answer {
  readonly text: string;
  readonly tokens: number;
  /** Time in which they were decoded, the prompt's excluded. */
  readonly ms: number;
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly drafted: number;
  readonly accepted: number;
}

interface Reply {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly timings: {
    readonly predicted_n: number;
    readonly predicted_ms: number;
    readonly prompt_n: number;
    readonly prompt_ms: number;
    readonly draft_n?: number;
    readonly draft_n_accepted?: number;
  };
}

/** The embedded LLM server in a process of its own. */
export class LlmServer {
  readonly #child: ChildProcess;
  readonly #url: string;
  #log = '';
  readonly #kill = () => void this.#child.kill('SIGKILL');

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-QUOTED);
    });
    process.once('exit', this.#kill);
  }

  /** Resolves when its weights are loaded. Throws `PROFILE_UNMEASURED` if they cannot be. */
  static async start(
    { command, args }: LlmProgram,
    weights: string,
    port: number,
    more: readonly string[] = [],
  ): Promise<LlmServer> {
    const own = ['--model', weights, '--port', String(port), ...more];
    const child = spawn(command, [...args, ...own], { stdio: ['ignore', 'ignore', 'pipe'] });
    const server = new LlmServer(child, `http://127.0.0.1:${port}`);
    // A program that cannot be started ends the wait as one that has ended.
    let failed = false;
    child.once('error', (error) => {
      failed = true;
      server.#log = error.message;
    });
    const until = performance.now() + READY_MS;
    while (performance.now() < until && isRunning(child) && !failed) {
      const health = await fetch(`${server.#url}/health`).catch(() => undefined);
      if (health?.ok) return server;
      await sleep(200);
    }
    await server.stop();
    const why = server.#log.trim() || 'without a message';
    throw new MillraceError('PROFILE_UNMEASURED', `${weights}: the LLM server at port ${port} did not start: ${why}`);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** @param whole it goes on to the last of the tokens, also where the model would end its answer */
  async answer(prompt: string, mostTokens = MOST_TOKENS, whole = false): Promise<Answer> {
    const response = await fetch(`${this.#url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'assistant',
        messages: [{ role: 'user', content: prompt }],
        max_tokens: mostTokens,
        temperature: 0,
        cache_prompt: false,
        ignore_eos: whole,
      }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) {
      const text = (await response.text()).slice(0, 500);
      throw new MillraceError('PROFILE_UNMEASURED', `the LLM server answered ${response.status}: ${text}`);
    }
    const { choices, timings } = (await response.json()) as Reply;
    return {
      text: choices[0]?.message.content ?? '',
      tokens: timings.predicted_n,
      ms: timings.predicted_ms,
      promptTokens: timings.prompt_n,
      promptMs: timings.prompt_ms,
      drafted: timings.draft_n ?? 0,
      accepted: timings.draft_n_accepted ?? 0,
    };
  }

  async stop(): Promise<void> {
    process.off('exit', this.#kill);
    if (this.#child.pid === undefined || !isRunning(this.#child)) return;
    const exit = once(this.#child, 'exit');
    const timer = setTimeout(this.#kill, STOP_MS);
    this.#child.kill('SIGTERM');
    await exit.finally(() => clearTimeout(timer));
  }
}

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;
