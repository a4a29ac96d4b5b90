/** What can be checked of `deploy/` without Docker, systemd, Kubernetes and Grafana: form, names, flags, paths. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import * as coordinator from '../../../cli/commands/coordinator.js';
import * as nats from '../../../cli/commands/nats.js';
import * as trainer from '../../../cli/commands/trainer.js';
import { definitionOf, groupingLabels, parses, selectors } from '../../support/promql.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const deploy = join(root, 'deploy');
const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' }).sort();
const text = (name: string): string => readFileSync(join(deploy, name), 'utf8');
const yamlFiles = files.filter((name) => /\.ya?ml$/.test(name));

/** The documents of a YAML file; duplicate keys and unknown tags are errors. */
function documents(name: string): readonly unknown[] {
  return parseAllDocuments(text(name), { strict: true, uniqueKeys: true }).map((document) => {
    expect([...document.errors, ...document.warnings]).toEqual([]);
    return document.toJS() as unknown;
  });
}

const one = (name: string): unknown => documents(name)[0];

/** Flags of a `wattsweep` command, from its own declaration. */
function flagsOf(command: string): readonly string[] {
  const program = new Command();
  for (const { register } of [coordinator, trainer, nats]) register(program);
  const found = program.commands.find((candidate) => candidate.name() === command);
  return found?.options.map(({ long }) => long ?? '') ?? [];
}

const flagsIn = (words: readonly string[]): readonly string[] =>
  words.filter((word) => word.startsWith('--'));

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly init?: boolean;
  readonly deploy?: {
    readonly resources: { readonly reservations: { readonly devices: readonly unknown[] } };
  };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

describe('YAML', () => {
  test.each(yamlFiles)('%s parses', (name) => {
    expect(documents(name).length).toBeGreaterThan(0);
  });
});

describe('compose', () => {
  const { services, volumes } = one('compose.yaml') as Compose;
  const named = Object.entries(services);

  test('mounts and builds what exists, from named volumes that are declared', () => {
    for (const [name, service] of named) {
      for (const source of (service.volumes ?? []).map((mount) => mount.split(':')[0] ?? '')) {
        const known = source.startsWith('.') ? existsSync(resolve(deploy, source)) : source in volumes;
        expect(known, `${name} mounts ${source}`).toBe(true);
      }
      if (service.build !== undefined) {
        const file = resolve(deploy, service.build.context, service.build.dockerfile);
        expect(existsSync(file), `${name} is built from ${file}`).toBe(true);
        expect(existsSync(`${file}.dockerignore`)).toBe(true);
      }
      expect(service.depends_on ?? []).toEqual(
        (service.depends_on ?? []).filter((other) => other in services),
      );
    }
  });

  test('gives the trainer GPUs as Compose wants them: capabilities, and a count or ids', () => {
    expect(services['trainer']?.deploy?.resources.reservations.devices).toEqual([
      { driver: 'nvidia', count: 'all', capabilities: ['gpu'] },
    ]);
    expect(services['trainer']?.init).toBe(true);
  });

  test('gives the token to everybody who needs it, and has none of its own', () => {
    for (const name of ['nats', 'coordinator', 'trainer']) {
      expect(services[name]?.environment?.['WATTSWEEP_TOKEN']).toMatch(/^\$\{WATTSWEEP_TOKEN:\?/);
    }
  });

  test.each(['coordinator', 'trainer'])('starts the %s with flags that it has', (name) => {
    const image = text(`docker/${name}.Dockerfile`);
    const entry = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(image)?.[1] ?? '[]') as string[];
    expect(entry).toContain(name);
    const used = flagsIn([...entry, ...(services[name]?.command ?? [])]);
    expect(used.length).toBeGreaterThan(1);
    expect(flagsOf(name)).toEqual(expect.arrayContaining([...used]));
  });
});

describe('systemd', () => {
  const units = files.filter((name) => name.endsWith('.service'));

  test.each(units)('%s starts a command with flags that it has', (name) => {
    const [, command = '', rest = ''] = /^ExecStart=.* wattsweep (\w+) (.*)$/m.exec(text(name)) ?? [];
    expect(`systemd/wattsweep-${command}.service`).toBe(name);
    expect(flagsOf(command)).toEqual(expect.arrayContaining([...flagsIn(rest.split(' '))]));
    for (const line of text(name).split('\n')) expect(line).toMatch(/^($|#|\[\w+\]$|[A-Z]\w+=)/);
  });

  test('the trainer leaves its attempts running', () => {
    expect(text('systemd/wattsweep-trainer.service')).toMatch(/^KillMode=process$/m);
  });
});

describe('Kubernetes', () => {
  interface Manifest {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly spec?: {
      readonly selector?: { readonly matchLabels?: object };
      readonly serviceName?: string;
      readonly template?: {
        readonly metadata: { readonly labels: object };
        readonly spec: { readonly containers: readonly { readonly name: string; readonly args: string[] }[] };
      };
    };
  }
  const manifests = yamlFiles
    .filter((name) => name.startsWith('kubernetes/'))
    .flatMap((name) => documents(name) as Manifest[]);

  test('everything is in one namespace, and workloads select their own pods', () => {
    for (const { kind, metadata, spec } of manifests) {
      if (kind !== 'Namespace') expect(metadata.namespace).toBe('wattsweep');
      if (spec?.template !== undefined) {
        expect(spec.template.metadata.labels).toEqual(spec.selector?.matchLabels);
      }
    }
  });

  test('containers have flags that their commands have', () => {
    const containers = manifests.flatMap(({ spec }) => spec?.template?.spec.containers ?? []);
    const ours = containers.filter(({ name }) => flagsOf(name).length > 0 && name !== 'nats');
    expect(ours.map(({ name }) => name).sort()).toEqual(['coordinator', 'trainer']);
    for (const { name, args } of ours)
      expect(flagsOf(name)).toEqual(expect.arrayContaining([...flagsIn(args)]));
  });
});

describe('Grafana', () => {
  test('the data source has the uid that the dashboards start with, the provider their folder', () => {
    const { datasources } = one('grafana/provisioning/datasources/prometheus.yml') as {
      datasources: { uid: string }[];
    };
    const { providers } = one('grafana/provisioning/dashboards/wattsweep.yml') as {
      providers: { options: { path: string } }[];
    };
    const mounts = (one('compose.yaml') as Compose).services['grafana']?.volumes ?? [];
    expect(mounts).toContain(`../dashboards:${providers[0]?.options.path ?? ''}:ro`);
    const sweep = JSON.parse(readFileSync(join(root, 'dashboards/wattsweep-sweep.json'), 'utf8')) as {
      templating: { list: { name: string; current: { value: string } }[] };
    };
    const variable = sweep.templating.list.find(({ name }) => name === 'datasource');
    expect(variable?.current.value).toBe(datasources[0]?.uid);
  });
});

describe('Prometheus rules', () => {
  interface Rules {
    readonly groups: readonly {
      readonly rules: readonly {
        readonly alert?: string;
        readonly record?: string;
        readonly expr: string;
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
      }[];
    }[];
  }
  const rules = ['recording', 'alerts'].flatMap((name) =>
    (one(`prometheus/rules/${name}.yml`) as Rules).groups.flatMap((group) => group.rules),
  );

  test('name metrics and labels that exist', () => {
    for (const { expr } of rules) {
      expect(parses(expr), expr).toBe(true);
      const labels = new Set(['job', 'instance', 'le']);
      for (const { metric, matchers } of selectors(expr)) {
        const definition = definitionOf(metric);
        expect(definition, metric).toBeDefined();
        for (const label of definition?.labels ?? []) labels.add(label);
        for (const { label } of matchers) expect(definition?.labels, expr).toContain(label);
      }
      for (const label of groupingLabels(expr)) expect([...labels], expr).toContain(label);
    }
  });

  test('say how bad an alert is and where to read on', () => {
    const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8');
    for (const { alert, labels, annotations } of rules) {
      if (alert === undefined) continue;
      expect(['warning', 'critical']).toContain(labels?.['severity']);
      expect(annotations?.['runbook']).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
      expect(runbook).toContain(`\n## ${alert}\n`);
      expect(text('prometheus/tests/alerts.yml')).toContain(`alertname: ${alert}\n`);
    }
  });

  test('are loaded by the configuration', () => {
    const { rule_files: patterns } = one('prometheus/prometheus.yml') as { rule_files: string[] };
    expect(patterns).toEqual(['rules/*.yml']);
    expect(existsSync(join(deploy, 'prometheus', dirname(patterns[0] ?? '')))).toBe(true);
  });
});
