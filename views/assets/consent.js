// Approve works only after this page has been in front for a second without a break. A page that covers this one and goes away
// between the two clicks of a double-click gets nothing by the second. Without this script, the form asks for a tick.

const IN_FRONT_MS = 1_000

const form = document.querySelector('form[data-consent]')
const approve = form.querySelector('button[value="approve"]')
const { in_front: inFront } = form.elements
let timer

function wait() {
  clearTimeout(timer)
  approve.disabled = true
  inFront.value = ''
  if (document.visibilityState !== 'visible' || !document.hasFocus()) return
  timer = setTimeout(() => {
    approve.disabled = false
    inFront.value = 'yes'
  }, IN_FRONT_MS)
}

for (const event of ['focus', 'blur', 'pageshow', 'resize']) addEventListener(event, wait)
document.addEventListener('visibilitychange', wait)
wait()
