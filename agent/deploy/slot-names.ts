/** The names of a workload's containers: what is there keeps its name where it can, since others may reach it by that. */
import { compareNames } from './quiesce.ts';

/**
 * `replicas` names. Names in `present` stay, in their order, when they are the workload's own (`<workload>-<n>`, or
 * `<workload>` of what replaced an adopted container) or were adopted; the rest is the lowest free `<workload>-<n>`.
 * @param present names of the workload's containers now, and whether each carries the workload's label
 */
export function slotNames(
  workloadName: string,
  replicas: number,
  present: readonly { readonly name: string; readonly labelled: boolean }[],
): string[] {
  const own = new RegExp(`^${workloadName.replace(/[.]/g, '\\.')}(-[1-9]\\d*)?$`);
  const names = present
    .filter(({ name, labelled }) => !labelled || own.test(name))
    .map(({ name }) => name)
    .sort(compareNames)
    .slice(0, replicas);
  for (let number = 1; names.length < replicas; number += 1) {
    const name = `${workloadName}-${number}`;
    if (!names.includes(name)) names.push(name);
  }
  return names;
}
