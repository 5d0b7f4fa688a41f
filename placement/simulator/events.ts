/** The subject of an event. `offered`: a prompt's cache can be pulled; `pulled`: it has arrived. */
export const EVENT = { device: 0, timer: 1, ready: 2, answered: 3, delivered: 4, offered: 5, pulled: 6 } as const;

/** Events by time, those of equal time in insertion order: a binary heap over typed arrays. */
export class Events {
  #time = new Float64Array(1024);
  #order = new Float64Array(1024);
  #kind = new Uint8Array(1024);
  #subject = new Int32Array(1024);
  #stamp = new Int32Array(1024);
  #size = 0;
  #added = 0;

  /** The earliest event, as set by `pop`. */
  time = 0;
  kind = 0;
  subject = 0;
  stamp = 0;

  clear(): void {
    this.#size = 0;
    this.#added = 0;
  }

  /** Time of the earliest event; infinite if there is none. */
  get next(): number {
    return this.#size > 0 ? (this.#time[0] as number) : Number.POSITIVE_INFINITY;
  }

  /** `stamp`: an event is valid only while its subject still has this stamp. */
  push(time: number, kind: number, subject: number, stamp = 0): void {
    if (this.#size === this.#time.length) this.#grow();
    const order = this.#added++;
    let i = this.#size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = this.#time[parent] as number;
      // The new event is the latest: it stays behind those of equal time.
      if (above <= time) break;
      this.#move(parent, i);
      i = parent;
    }
    this.#set(i, time, order, kind, subject, stamp);
  }

  /** Takes the earliest event into `time`, `kind`, `subject` and `stamp`. */
  pop(): void {
    this.time = this.#time[0] as number;
    this.kind = this.#kind[0] as number;
    this.subject = this.#subject[0] as number;
    this.stamp = this.#stamp[0] as number;
    const last = --this.#size;
    if (last === 0) return;
    const time = this.#time[last] as number;
    const order = this.#order[last] as number;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#before(child + 1, child)) child += 1;
      const below = this.#time[child] as number;
      if (time < below || (time === below && order < (this.#order[child] as number))) break;
      this.#move(child, i);
      i = child;
    }
    this.#set(i, time, order, this.#kind[last] as number, this.#subject[last] as number, this.#stamp[last] as number);
  }

  #before(a: number, b: number): boolean {
    const difference = (this.#time[a] as number) - (this.#time[b] as number);
    return difference < 0 || (difference === 0 && (this.#order[a] as number) < (this.#order[b] as number));
  }

  #move(from: number, to: number): void {
    this.#time[to] = this.#time[from] as number;
    this.#order[to] = this.#order[from] as number;
    this.#kind[to] = this.#kind[from] as number;
    this.#subject[to] = this.#subject[from] as number;
    this.#stamp[to] = this.#stamp[from] as number;
  }

  #set(i: number, time: number, order: number, kind: number, subject: number, stamp: number): void {
    this.#time[i] = time;
    this.#order[i] = order;
    this.#kind[i] = kind;
    this.#subject[i] = subject;
    this.#stamp[i] = stamp;
  }

  #grow(): void {
    const size = this.#time.length * 2;
    const wider = <A extends Float64Array | Uint8Array | Int32Array>(old: A, next: A): A => {
      next.set(old);
      return next;
    };
    this.#time = wider(this.#time, new Float64Array(size));
    this.#order = wider(this.#order, new Float64Array(size));
    this.#kind = wider(this.#kind, new Uint8Array(size));
    this.#subject = wider(this.#subject, new Int32Array(size));
    this.#stamp = wider(this.#stamp, new Int32Array(size));
  }
}
