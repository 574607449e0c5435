import type { AppRow } from './app-reads.ts'
import { type Form, NAMED, numberField, REQUIRED } from './forms.ts'

/** What apps are registered and changed by. */

export const registerForm = (): Form => ({
  ...{ id: 'register', title: 'Register an app', action: '/console/apps', back: '/console/apps' },
  fields: [
    {
      ...{ name: 'slug', label: 'Slug' },
      hint: 'What its requests call it, such as video: lower-case letters, digits, dashes. It cannot be changed.',
      attributes: { ...REQUIRED, maxlength: '63', pattern: '[a-z0-9][a-z0-9\\-]*', autocomplete: 'off' },
    },
    { name: 'name', label: 'Name', hint: 'What people read.', attributes: NAMED },
    numberField('starter_credits', 'Starter credits', {
      ...{ value: '0', hint: 'Each person gets them once, at the first visit.' },
    }),
    {
      ...{ name: 'origins', label: 'Origins', kind: 'lines' },
      hint: 'One a line. A page of such an origin can use the whole account of its visitor.',
      attributes: { placeholder: 'https://video.example.com' },
    },
  ],
})

export const settingsForm = (app: AppRow): Form => ({
  ...ofApp(app, 'settings', 'Settings'),
  fields: [
    { name: 'name', label: 'Name', value: app.name ?? '', attributes: NAMED },
    numberField('starter_credits', 'Starter credits', {
      value: String(app.starter_credits),
      hint: 'For people who come from now on. Who has had some keeps them.',
      attributes: REQUIRED,
    }),
    {
      ...{ name: 'overage_unit', label: 'How far a job’s cost may pass its estimate', kind: 'select' },
      value: app.max_overage !== null ? 'credits' : app.max_overage_percent !== null ? 'percent' : 'none',
      choices: [
        { value: 'none', text: 'Without limit' },
        { value: 'credits', text: 'So many credits' },
        { value: 'percent', text: 'So many percent of the estimate' },
      ],
    },
    numberField('overage', 'Credits or percent', { value: String(app.max_overage ?? app.max_overage_percent ?? 0) }),
  ],
})

const LISTS = [
  ['origins', 'Origins', 'Pages here can use the whole account of their visitor.'],
  [
    'return_paths',
    'Return paths',
    'Where a sign-in may return to at the origins: /callback, or /auth/ and all below it. None: everywhere.',
  ],
  ['redirect_uris', 'Redirect URIs', 'Where OAuth sends people back to, character by character.'],
  ['resources', 'Resources', 'URLs of the app’s own APIs that tokens can be for.'],
] as const

export const addressesForm = (app: AppRow): Form => ({
  ...ofApp(app, 'addresses', 'Addresses'),
  fields: LISTS.map(([name, label, hint]) => ({ name, label, hint, kind: 'lines', value: app[name].join('\n') })),
})

const ofApp = ({ slug, name }: AppRow, part: string, title: string) => ({
  ...{ id: part, title: `${title} of ${name ?? slug}`, action: `/console/apps/${slug}/${part}` },
  back: `/console/apps/${slug}`,
})
