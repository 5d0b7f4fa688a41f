/** `sum(coefficients x) <= | = | >= bound`. */
export interface Constraint {
  /** Column and coefficient. */
  readonly terms: readonly (readonly [column: number, coefficient: number])[];
  readonly is: 'atMost' | 'equal' | 'atLeast';
  readonly bound: number;
}

export interface LinearSolution {
  readonly value: number;
  readonly x: Float64Array;
}

const EPSILON = 1e-9;
/** Pivots after which the rule that cannot cycle replaces the faster one. */
const PATIENCE = 200;

/**
 * Minimises `costs x` over x >= 0 under the constraints: the two-phase simplex method on a dense tableau, for some
 * dozens of rows. Undefined if no x satisfies them. Costs must not be negative, so that a minimum exists.
 */
export function minimise(costs: readonly number[], constraints: readonly Constraint[]): LinearSolution | undefined {
  const rows = constraints.length;
  const columns = costs.length;
  // One slack for each inequality, one artificial variable for each row.
  const slacks = constraints.filter(({ is }) => is !== 'equal').length;
  const width = columns + slacks + rows + 1;
  const tableau = Array.from({ length: rows }, () => new Float64Array(width));
  const basis = new Int32Array(rows);
  let slack = columns;
  for (const [r, { terms, is, bound }] of constraints.entries()) {
    const row = tableau[r] as Float64Array;
    const sign = bound < 0 ? -1 : 1;
    for (const [column, coefficient] of terms) row[column] = (row[column] as number) + sign * coefficient;
    if (is !== 'equal') row[slack++] = sign * (is === 'atMost' ? 1 : -1);
    row[columns + slacks + r] = 1;
    row[width - 1] = sign * bound;
    basis[r] = columns + slacks + r;
  }
  const phaseOne = new Float64Array(width);
  phaseOne.fill(1, columns + slacks, width - 1);
  const infeasible = solve(tableau, basis, phaseOne, width - 1);
  if (infeasible > 1e-7) return undefined;
  leaveArtificials(tableau, basis, columns + slacks);
  const phaseTwo = new Float64Array(width);
  phaseTwo.set(costs);
  const value = solve(tableau, basis, phaseTwo, columns + slacks);
  const x = new Float64Array(columns);
  for (const [r, column] of basis.entries()) {
    if (column < columns) x[column] = (tableau[r] as Float64Array)[width - 1] as number;
  }
  return { value, x };
}

/**
 * Removes artificial variables that are zero from the basis: phase two has no cost for them and would let them grow. A
 * row without other entries follows from the others.
 */
function leaveArtificials(tableau: readonly Float64Array[], basis: Int32Array, usable: number): void {
  for (const [r, row] of tableau.entries()) {
    if ((basis[r] as number) < usable) continue;
    const enter = row.subarray(0, usable).findIndex((coefficient) => Math.abs(coefficient) > EPSILON);
    if (enter < 0) {
      row.fill(0);
      continue;
    }
    pivot(tableau, new Float64Array(row.length), r, enter);
    basis[r] = enter;
  }
}

/** Pivots until no column below `usable` lowers the costs; returns their value. */
function solve(tableau: readonly Float64Array[], basis: Int32Array, costs: Float64Array, usable: number): number {
  const width = costs.length;
  const reduced = costs.slice();
  for (const [r, row] of tableau.entries()) {
    const cost = costs[basis[r] as number] as number;
    if (cost !== 0) for (let c = 0; c < width; c += 1) reduced[c] = (reduced[c] as number) - cost * (row[c] as number);
  }
  for (let pivots = 0; ; pivots += 1) {
    let enter = -1;
    let best = -EPSILON;
    for (let c = 0; c < usable; c += 1) {
      if ((reduced[c] as number) < best) {
        enter = c;
        if (pivots >= PATIENCE) break;
        best = reduced[c] as number;
      }
    }
    if (enter < 0) return -(reduced[width - 1] as number);
    let leave = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const [r, row] of tableau.entries()) {
      const coefficient = row[enter] as number;
      if (coefficient <= EPSILON) continue;
      const ratio = (row[width - 1] as number) / coefficient;
      const tied = ratio <= least + 1e-12 && leave >= 0 && (basis[r] as number) < (basis[leave] as number);
      if (ratio < least - 1e-12 || tied) {
        least = Math.min(least, ratio);
        leave = r;
      }
    }
    // Costs are not negative, so a column is unbounded only by rounding.
    if (leave < 0) return -(reduced[width - 1] as number);
    pivot(tableau, reduced, leave, enter);
    basis[leave] = enter;
  }
}

function pivot(tableau: readonly Float64Array[], reduced: Float64Array, leave: number, enter: number): void {
  const row = tableau[leave] as Float64Array;
  const by = row[enter] as number;
  for (let c = 0; c < row.length; c += 1) row[c] = (row[c] as number) / by;
  for (const other of [...tableau, reduced]) {
    const factor = other[enter] as number;
    if (other === row || factor === 0) continue;
    for (let c = 0; c < row.length; c += 1) other[c] = (other[c] as number) - factor * (row[c] as number);
  }
}
