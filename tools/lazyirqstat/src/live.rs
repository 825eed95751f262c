// SPDX-License-Identifier: GPL-2.0

//! The full-screen view.

use std::time::{Duration, Instant};

use ratatui::{
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Style, Stylize},
    text::{Line, Span},
    widgets::Paragraph,
    DefaultTerminal, Frame,
};

use crate::{
    args::Options,
    source::{Error, Source},
    table::{Sort, Table},
    watch::{View, Watch},
    Failure,
};

/// What `+` and `-` choose from, in milliseconds.
const INTERVALS: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

const KEYS: &str =
    "i/l/t interrupts/locks/threads  s sort  r reverse  p pause  +/- interval  q quit";

/// Runs until a key or an error ends it, or `count` reports were shown. The terminal is restored
/// then, and after a panic too: [`ratatui::try_init`] sees to that.
pub fn run(options: &Options, source: &Source) -> Result<(), Failure> {
    // Errors at the very start need no screen.
    let mut live = Live::new(options, source)?;
    let result = match ratatui::try_init() {
        Ok(mut terminal) => live.watch_keys(&mut terminal, options.count),
        Err(error) => Err(error.into()),
    };
    let restored = ratatui::try_restore();
    result.and(restored.map_err(Failure::from))
}

struct Live<'s> {
    source: &'s Source,
    view: View,
    watch: Box<dyn Watch>,
    sampled: Instant,
    samples: u64,
    interval: Duration,
    sort: Sort,
    paused: bool,
    /// How many rows are above the screen.
    scroll: usize,
}

impl<'s> Live<'s> {
    fn new(options: &Options, source: &'s Source) -> Result<Self, Error> {
        let mut live = Self {
            source,
            view: options.view,
            watch: options.view.watch(),
            sampled: Instant::now(),
            samples: 0,
            interval: options.interval.unwrap_or(Duration::from_secs(1)),
            sort: options.sort,
            paused: false,
            scroll: 0,
        };
        live.sample()?;
        Ok(live)
    }

    fn sample(&mut self) -> Result<(), Error> {
        self.sampled = Instant::now();
        self.samples += 1;
        self.watch.sample(self.source, self.sampled)
    }

    fn watch_keys(
        &mut self,
        terminal: &mut DefaultTerminal,
        count: Option<u64>,
    ) -> Result<(), Failure> {
        loop {
            terminal.draw(|frame| self.draw(frame))?;
            let rest = self.interval.saturating_sub(self.sampled.elapsed());
            // While it is paused there is no hurry, but a terminal that is gone should be noticed.
            let patience = if self.paused { self.interval } else { rest };
            if event::poll(patience)? {
                // Other events, such as a new size of the terminal, cause a redraw.
                if let Event::Key(key) = event::read()? {
                    if key.kind == KeyEventKind::Press && self.quits_at(key)? {
                        return Ok(());
                    }
                }
            }
            if !self.paused && self.sampled.elapsed() >= self.interval {
                if count.is_some_and(|count| self.samples >= count) {
                    return Ok(());
                }
                self.sample()?;
            }
        }
    }

    /// Does what the key is for. Returns whether that is to quit.
    fn quits_at(&mut self, key: KeyEvent) -> Result<bool, Error> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Ok(true),
            _ if control => {}
            KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
            KeyCode::Char('i') => self.switch(View::Interrupt)?,
            KeyCode::Char('l') => self.switch(View::Lock)?,
            KeyCode::Char('t') => self.switch(View::Thread)?,
            KeyCode::Char('s') | KeyCode::Right => self.sort_by_next(true),
            KeyCode::Left => self.sort_by_next(false),
            KeyCode::Char('r') => self.sort.reversed = !self.sort.reversed,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('+' | '=') => self.lengthen(),
            KeyCode::Char('-') => self.shorten(),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down => self.scroll += 1,
            _ => {}
        }
        Ok(false)
    }

    /// Shows another kind of row: its totals first.
    fn switch(&mut self, view: View) -> Result<(), Error> {
        if view == self.view {
            return Ok(());
        }
        self.view = view;
        self.watch = view.watch();
        (self.sort, self.scroll) = (Sort::default(), 0);
        self.sample()
    }

    /// Sorts by the next column on the screen, or the one before. After the last one comes the
    /// default, which is no column.
    fn sort_by_next(&mut self, next: bool) {
        let headings = self.watch.table(self.sort).headings;
        let places = headings.len() + 1;
        let place = |heading| {
            let index = headings.iter().position(|other| *other == heading);
            index.map_or(0, |index| index + 1)
        };
        let now = self.sort.column.map_or(0, place);
        let then = (now + if next { 1 } else { places - 1 }) % places;
        self.sort.column = then.checked_sub(1).map(|index| headings[index]);
    }

    fn lengthen(&mut self) {
        let longer = INTERVALS.map(Duration::from_millis).into_iter();
        if let Some(interval) = longer.into_iter().find(|other| *other > self.interval) {
            self.interval = interval;
        }
    }

    fn shorten(&mut self) {
        let shorter = INTERVALS.map(Duration::from_millis).into_iter().rev();
        if let Some(interval) = shorter.into_iter().find(|other| *other < self.interval) {
            self.interval = interval;
        }
    }

    fn draw(&mut self, frame: &mut Frame) {
        let [title, heading, rows, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let table = self.watch.table(self.sort);
        frame.render_widget(self.title(), title);
        frame.render_widget(Line::from(KEYS).dim(), keys);
        if table.is_empty() {
            self.scroll = 0;
            frame.render_widget(Line::from(table.none), rows);
            return;
        }
        // Rows may have gone, or the screen may have grown.
        let most = (table.lines.len() - 1).saturating_sub(rows.height.into());
        self.scroll = self.scroll.min(most);
        frame.render_widget(self.heading(&table), heading);
        let lines = table.lines.iter().skip(1 + self.scroll);
        let lines: Vec<Line> = lines.map(|line| Line::from(line.join(" "))).collect();
        frame.render_widget(Paragraph::new(lines), rows);
    }

    fn title(&self) -> Line<'static> {
        let time = match self.watch.interval() {
            None => "since registration or reset".to_string(),
            Some(interval) => format!("during {:.1} s", interval.as_secs_f64()),
        };
        let order = match self.sort.column {
            None => format!("{} first", self.watch.default_order()),
            Some(column) => format!("by {column}"),
        };
        let reversed = if self.sort.reversed { ", reversed" } else { "" };
        let mut spans = vec![
            Span::from(format!("lazyirq's {}", self.view.plural())).bold(),
            Span::from(format!(
                "  {time}  every {} s  {order}{reversed}",
                self.interval.as_secs_f64()
            )),
        ];
        if self.paused {
            spans.push(Span::from("  "));
            spans.push(Span::from("paused").reversed());
        }
        Line::from(spans)
    }

    /// The heading, with the column marked by which the table is sorted.
    fn heading(&self, table: &Table) -> Line<'static> {
        let mut spans = Vec::new();
        for (heading, text) in table.headings.iter().zip(&table.lines[0]) {
            let style = if self.sort.column == Some(heading) {
                Style::new().reversed()
            } else {
                Style::new().bold()
            };
            spans.push(Span::styled(text.clone(), style));
            spans.push(Span::from(" "));
        }
        Line::from(spans)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{backend::TestBackend, Terminal};

    use super::*;
    use crate::args::{self, Command};

    fn source(name: &str) -> Source {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
        Source::new(format!("{fixtures}{name}").into())
    }

    fn live(source: &Source) -> Live<'_> {
        let Ok(Command::Show(options)) = args::parse([]) else {
            unreachable!()
        };
        Live::new(&options, source).unwrap()
    }

    fn press(live: &mut Live, keys: &str) -> bool {
        keys.chars().any(|key| {
            let key = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
            live.quits_at(key).unwrap()
        })
    }

    /// The screen's lines, without the blanks at their ends.
    fn screen(live: &mut Live, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| live.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        buffer
            .content
            .chunks(width.into())
            .map(|line| {
                let line: String = line.iter().map(|cell| cell.symbol()).collect();
                line.trim_end().to_string()
            })
            .collect()
    }

    #[test]
    fn the_screen_has_title_table_and_keys() {
        let source = source("running");
        let screen = screen(&mut live(&source), 120, 8);
        assert_eq!(
            screen[0],
            "lazyirq's interrupts  since registration or reset  every 1 s  most interrupts first"
        );
        assert!(screen[1].starts_with("IRQ NAME"), "{screen:?}");
        assert!(screen[2].starts_with(" 31 eth0"), "{screen:?}");
        assert_eq!(screen[7], KEYS);
    }

    #[test]
    fn keys_switch_views() {
        let source = source("running");
        let mut live = live(&source);
        assert!(!press(&mut live, "l"));
        let locks = screen(&mut live, 100, 8);
        assert!(locks[0].starts_with("lazyirq's locks"), "{locks:?}");
        assert!(locks[1].starts_with("LOCK"), "{locks:?}");
        press(&mut live, "t");
        assert!(screen(&mut live, 100, 8)[1].starts_with("CPU IPL"));
        press(&mut live, "i");
        assert!(screen(&mut live, 100, 8)[1].starts_with("IRQ NAME"));
    }

    #[test]
    fn keys_sort() {
        let source = source("running");
        let mut live = live(&source);
        press(&mut live, "ss");
        assert_eq!(live.sort.column, Some("NAME"));
        let by_name = screen(&mut live, 120, 8);
        assert!(by_name[0].ends_with("by NAME"), "{by_name:?}");
        assert!(by_name[2].starts_with(" 30 edu "), "{by_name:?}");
        press(&mut live, "r");
        let reversed = screen(&mut live, 120, 8);
        assert!(reversed[0].ends_with("by NAME, reversed"), "{reversed:?}");
        assert!(reversed[2].starts_with(" 31 eth0-rx-0 "), "{reversed:?}");
        let left = KeyEvent::new(KeyCode::Left, KeyModifiers::NONE);
        for expected in [Some("IRQ"), None, Some("MAXus")] {
            live.quits_at(left).unwrap();
            assert_eq!(live.sort.column, expected);
        }
        press(&mut live, "s");
        assert_eq!(live.sort.column, None);
    }

    #[test]
    fn the_sort_column_is_marked() {
        let source = source("running");
        let mut live = live(&source);
        press(&mut live, "s");
        let mut terminal = Terminal::new(TestBackend::new(80, 8)).unwrap();
        terminal.draw(|frame| live.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let marked = |x| {
            let modifier = buffer[(x, 1)].modifier;
            modifier.contains(ratatui::style::Modifier::REVERSED)
        };
        assert!(marked(0) && marked(2) && !marked(3) && !marked(4));
    }

    #[test]
    fn keys_pause_and_change_the_interval() {
        let source = source("running");
        let mut live = live(&source);
        press(&mut live, "p");
        assert!(screen(&mut live, 120, 8)[0].ends_with("  paused"));
        press(&mut live, "p");
        assert!(!live.paused);
        press(&mut live, "++");
        assert_eq!(live.interval, Duration::from_secs(5));
        press(&mut live, "----------");
        assert_eq!(live.interval, Duration::from_millis(100));
        press(&mut live, "++++++++++");
        assert_eq!(live.interval, Duration::from_secs(60));
    }

    #[test]
    fn keys_quit() {
        let source = source("running");
        let mut live = live(&source);
        assert!(press(&mut live, "q"));
        let mut quits = |code, modifiers| live.quits_at(KeyEvent::new(code, modifiers)).unwrap();
        assert!(quits(KeyCode::Esc, KeyModifiers::NONE));
        assert!(quits(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!quits(KeyCode::Char('c'), KeyModifiers::NONE));
    }

    #[test]
    fn a_further_sample_shows_differences() {
        let (before, after) = (source("running"), source("running-later"));
        let mut live = live(&before);
        live.source = &after;
        live.sample().unwrap();
        let screen = screen(&mut live, 120, 8);
        assert!(screen[0].contains("  during 0.0 s  "), "{screen:?}");
        assert!(screen[1].contains("INTR/s"), "{screen:?}");
    }

    #[test]
    fn it_scrolls_as_far_as_there_are_rows() {
        let source = source("running");
        let mut live = live(&source);
        let down = KeyEvent::new(KeyCode::Down, KeyModifiers::NONE);
        for _ in 0..9 {
            live.quits_at(down).unwrap();
        }
        // Three rows, and room for two.
        let screen = screen(&mut live, 120, 5);
        assert_eq!(live.scroll, 1);
        assert!(!screen[2].contains("eth0"), "{screen:?}");
    }

    #[test]
    fn there_may_be_no_row_and_little_room() {
        let source = source("no-rows");
        let mut live = live(&source);
        assert_eq!(
            screen(&mut live, 60, 6)[2],
            "no interrupt is registered with lazyirq"
        );
        for (width, height) in [(1, 1), (3, 2), (10, 3)] {
            screen(&mut live, width, height);
        }
    }

    #[test]
    fn unloading_ends_it_with_the_reason() {
        let (before, after) = (source("running"), source("not-loaded"));
        let mut live = live(&before);
        live.source = &after;
        assert!(live
            .sample()
            .unwrap_err()
            .to_string()
            .starts_with("lazyirq is not loaded"));
        let key = KeyEvent::new(KeyCode::Char('l'), KeyModifiers::NONE);
        assert!(live.quits_at(key).is_err());
    }
}
