import { z } from 'zod';
import { type MetricRow, readMetrics } from '../../db/queries/read-metrics.ts';
import { endpoint } from '../endpoint.ts';

const HELP: Record<MetricRow['metric'], string> = {
  intents: 'Intents by kind and state',
  hosts: 'Hosts by whether their agent was seen within two minutes',
  oldest_pending_seconds: 'Age of the oldest intent that no agent has claimed',
  expired_leases: 'Claimed intents whose agent does not renew its lease',
  snapshots: 'Snapshots that are there, by kind',
};

/** Open, as scrapers expect; holds counts only, no name and no id. */
export const metrics = endpoint(
  {
    method: 'get',
    path: '/metrics',
    name: 'metrics',
    summary: 'Figures for Prometheus',
    access: 'public',
    answers: { 200: { description: 'Text exposition format', schema: z.string(), type: 'text/plain' } },
  },
  async ({ c }) => {
    const rows = await readMetrics(c.get('db'));
    const lines = Object.entries(HELP).flatMap(([metric, help]) => [
      `# HELP refloat_${metric} ${help}`,
      `# TYPE refloat_${metric} gauge`,
      ...rows.filter((row) => row.metric === metric).map(line),
    ]);
    return c.text(`${lines.join('\n')}\n`, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  },
);

function line({ metric, labels, value }: MetricRow): string {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}="${text}"`);
  return `refloat_${metric}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}
