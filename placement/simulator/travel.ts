import type { SimulatedDevices, SimulatedStage } from './system.js';

/** Where and when the stages of each request ended, and the way of their outputs. Numbered by item: request x stages + stage. */
export class Travel {
  readonly #stages: readonly SimulatedStage[];
  readonly #devices: SimulatedDevices;
  readonly #endedAt: Float64Array;
  readonly #endedOn: Int32Array;

  constructor(stages: readonly SimulatedStage[], devices: SimulatedDevices, requests: number) {
    this.#stages = stages;
    this.#devices = devices;
    this.#endedAt = new Float64Array(requests * stages.length);
    this.#endedOn = new Int32Array(requests * stages.length);
  }

  /** `device`: negative if no device has its output. */
  ended(request: number, v: number, now: number, device: number): void {
    const item = request * this.#stages.length + v;
    this.#endedAt[item] = now;
    this.#endedOn[item] = device;
  }

  /** Time until all inputs of a request's stage have arrived at a device. */
  msTo(device: number, request: number, v: number, now: number): number {
    const { after, streamFrom } = this.#stages[v] as SimulatedStage;
    const first = request * this.#stages.length;
    let there = now;
    for (let i = 0; i < after.length; i += 1) {
      const before = after[i] as number;
      // Of a stream only a little is on its way at a time.
      if (before === streamFrom) continue;
      const from = this.#endedOn[first + before] as number;
      if (from < 0 || from === device) continue;
      const bytes = this.#stages[before]?.outputBytes ?? 0;
      const at = (this.#endedAt[first + before] as number) + this.#devices.transferMs(from, device, bytes);
      if (at > there) there = at;
    }
    return there - now;
  }
}
