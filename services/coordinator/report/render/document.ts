/** What the report says, in order, for every renderer. Texts are not escaped yet. */
import { extent } from '../analysis/extent.js';
import type { Report, ShippedCode } from '../types.js';
import { count, joulesText, listText, momentText, secondsText } from './format.js';
import {
  frontTable,
  hasEnergy,
  leaderboardTable,
  levelTable,
  powerMethodsOf,
  savingsTable,
  settingsTable,
  SHOWN_ROWS,
  stoppedTable,
  type Table,
} from './tables.js';

export type PlotName = 'curves' | 'closeup' | 'tradeoff' | 'bars';

export type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly name: string; readonly table: Table }
  /** Pictures, where the renderer has them. */
  | { readonly kind: 'plots'; readonly plots: readonly PlotName[] };

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export interface ReportDocument {
  readonly title: string;
  readonly answer: string;
  /** Short facts under the answer: label and text. */
  readonly facts: readonly (readonly [string, string])[];
  readonly sections: readonly Section[];
}

const STATUS = {
  running: 'still running',
  paused: 'paused',
  stopping: 'being stopped',
  completed: 'completed',
  stopped: 'stopped before its end',
} as const;

function spentText(report: Report): string {
  const { sweep } = report;
  const parts = [count(sweep.epochs, 'epoch')];
  if (sweep.seconds !== null) parts.push(`${secondsText(sweep.seconds)} of device time`);
  if (sweep.joules !== null) {
    parts.push(
      joulesText(
        sweep.joules,
        report.trials.some((trial) => trial.estimated),
      ),
    );
  }
  return parts.join(', ');
}

function savedText(report: Report): string | null {
  const epochs = report.savings.reduce((sum, saving) => sum + saving.epochsNotRun, 0);
  if (epochs === 0) return null;
  const whole = report.sweep.epochs + epochs;
  const trials = report.savings.reduce((sum, saving) => sum + saving.trials, 0);
  return `${count(epochs, 'epoch')} of ${count(trials, 'trial')} not run (${Math.round((100 * epochs) / whole)} % of all)`;
}

function codeText({ folder, sha256, files, git }: ShippedCode): string {
  const shipped = `folder ${folder}${files === null ? '' : `, ${count(files, 'file')}`}, SHA-256 ${sha256.slice(0, 12)}`;
  if (git === null) return `${shipped}; not known to git`;
  const { commit, branch, isDirty, diffBytes } = git;
  const where = `git commit ${commit.slice(0, 12)}${branch === '' ? '' : ` of ${branch}`}`;
  if (!isDirty) return `${shipped}; ${where}, without changes`;
  const diff = diffBytes === 0 ? 'files that git does not know' : `a diff of ${count(diffBytes, 'byte')}`;
  return `${shipped}; ${where}, changed: ${diff}`;
}

function facts(report: Report): readonly (readonly [string, string])[] {
  const { sweep } = report;
  const states = Object.entries(sweep.trials.byState).map(([state, n]) => `${n} ${state}`);
  const { all, tried } = sweep.points;
  const untried = tried < all ? `; ${tried} of ${count(all, 'setting')} tried` : '';
  const saved = savedText(report);
  const when =
    sweep.endedAt === null
      ? `since ${momentText(sweep.submittedAt)}, as of ${momentText(sweep.generatedAt)}`
      : `${momentText(sweep.submittedAt)} to ${momentText(sweep.endedAt)}`;
  const devices = report.devices.map(
    ({ device, trainers, trials }) => `${device} (${count(trials, 'trial')} on ${listText(trainers)})`,
  );
  const engines = report.engines.map(({ name = '', version = '', ...rest }) =>
    [`${name} ${version}`.trim(), ...Object.entries(rest).map(([key, value]) => `${key} ${value}`)]
      .filter(Boolean)
      .join(', '),
  );
  const { metric, goal, target } = sweep.objective;
  return [
    ['Sweep', `${STATUS[sweep.status]}${sweep.reason === '' ? '' : ` (${sweep.reason})`}, ${when}`],
    ['Trials', `${sweep.trials.total}${states.length > 0 ? ` (${listText(states)})` : ''}${untried}`],
    [
      'Objective',
      `${goal} ${metric}${target === null ? '' : `, target ${target}`}; recipe ${sweep.recipe}, at most ${count(sweep.maxEpochs, 'epoch')}; stopping rule ${sweep.stopping}`,
    ],
    ...(sweep.code === null ? [] : [['Code', codeText(sweep.code)] as const]),
    ...(devices.length > 0 ? [['Ran on', devices.join('; ')] as const] : []),
    ...(engines.length > 0 ? [['Engine', engines.join('; ')] as const] : []),
    ['Spent', spentText(report)],
    ...(saved === null ? [] : [['Saved', saved] as const]),
  ];
}

const more = (shown: number, all: number): readonly Block[] =>
  all > shown ? [{ kind: 'text', text: `${count(all - shown, 'more row')} in the JSON file.` }] : [];

/** One sentence where the whole table has one method, which then needs no column. */
function powerText(report: Report): readonly Block[] {
  const methods = powerMethodsOf(report);
  const [method] = methods;
  return method === undefined || methods.length > 1
    ? []
    : [{ kind: 'text', text: `Power read by ${method}${meteringText(report)}.` }];
}

/** How often and how much of it was read, and what of it is above rest. */
function meteringText({ trials }: Report): string {
  const known = (values: readonly (number | null)[]): readonly number[] => values.filter((v) => v !== null);
  const rates = known(trials.map(({ metering }) => metering.samplesPerSecond));
  const coverages = known(trials.map(({ metering }) => metering.coverage));
  const idle = known(trials.map(({ metering }) => metering.idleWatts));
  const nets = trials.filter(({ joules }) => joules !== null).map(({ metering }) => metering.netJoules);
  const net = known(nets);
  const [least] = extent(coverages);
  const range = (values: readonly number[]): string => {
    const [least, most] = extent(values);
    const [low, high] = [least.toFixed(0), most.toFixed(0)];
    return low === high ? low : `${low} to ${high}`;
  };
  return [
    ...(rates.length === 0 ? [] : [`, ${extent(rates)[0].toFixed(1)} times a second`]),
    ...(coverages.length === 0 || least > 0.9995
      ? []
      : [`, ${(100 * least).toFixed(1)} % of the time at least`]),
    ...(idle.length === 0 ? [] : [`; at rest ${range(idle)} W`]),
    ...(net.length === 0 || net.length < nets.length
      ? []
      : [`, net of that ${joulesText(net.reduce((sum, joules) => sum + joules, 0))} in all`]),
  ].join('');
}

function levelSections(report: Report): readonly Section[] {
  if (report.cells.length === 0 || report.sweep.levels.length === 0) return [];
  const energy = hasEnergy(report);
  const front: readonly Block[] =
    report.pareto.timeAndEnergyToLevel.length === 0
      ? []
      : [
          {
            kind: 'text',
            text: 'Settings that no other beats in both time and energy, from the fastest to the most frugal:',
          },
          { kind: 'table', name: 'front of time and energy', table: frontTable(report) },
        ];
  return [
    {
      title: 'Epochs until each level',
      blocks: [
        { kind: 'table', name: 'epochs until each level', table: levelTable(report, 'epochs') },
        ...more(SHOWN_ROWS, report.cells.length),
      ],
    },
    {
      title: energy ? 'Time and energy to each level' : 'Time to each level',
      blocks: [
        { kind: 'plots', plots: ['bars'] },
        { kind: 'table', name: 'time to each level', table: levelTable(report, 'seconds') },
        ...(energy
          ? [{ kind: 'table', name: 'energy to each level', table: levelTable(report, 'joules') } as const]
          : []),
        ...front,
      ],
    },
  ];
}

function stoppedSection(report: Report): readonly Section[] {
  if (report.stopped.length === 0) return [];
  return [
    {
      title: 'Ended early, and what it saved',
      blocks: [
        { kind: 'table', name: 'trials that ended early', table: stoppedTable(report) },
        ...more(SHOWN_ROWS, report.stopped.length),
        ...(report.savings.length === 0
          ? []
          : ([
              {
                kind: 'text',
                text: "An estimate: the epochs that were not run, times each trial's own mean per epoch.",
              },
              { kind: 'table', name: 'what stopping saved', table: savingsTable(report) },
            ] as const)),
      ],
    },
  ];
}

export function toDocument(report: Report): ReportDocument {
  const ran = report.cells.length > 0;
  return {
    title: report.sweep.name,
    answer: report.answer.text,
    facts: facts(report),
    sections: [
      ...(report.warnings.length === 0
        ? []
        : [
            {
              title: 'Read with care',
              blocks: [{ kind: 'list', items: report.warnings.map((warning) => warning.text) } as const],
            },
          ]),
      ...(ran
        ? [
            {
              title: 'What each setting reached, and what an epoch cost',
              blocks: [
                { kind: 'plots', plots: ['curves', 'closeup', 'tradeoff'] },
                { kind: 'table', name: 'settings', table: settingsTable(report) },
                ...more(SHOWN_ROWS, report.cells.length),
                ...powerText(report),
              ] as const,
            },
          ]
        : []),
      ...levelSections(report),
      ...(report.trials.length === 0
        ? []
        : [
            {
              title: 'Leaderboard',
              blocks: [
                { kind: 'table', name: 'leaderboard', table: leaderboardTable(report) } as const,
                ...more(SHOWN_ROWS, report.trials.length),
              ],
            },
          ]),
      ...stoppedSection(report),
      { title: 'How the numbers are defined', blocks: [{ kind: 'list', items: report.definitions }] },
    ],
  };
}
