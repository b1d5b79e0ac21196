// Stream stage: a beat of BEATS * WIDTH bits becomes BEATS beats, the lowest bits first.
module nn_split #(
    parameter int BEATS = 2,
    parameter int WIDTH = 8
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [BEATS*WIDTH-1:0] in_data,
    output logic                   out_valid,
    input  logic                   out_ready,
    output logic [      WIDTH-1:0] out_data
);
  localparam int BW = $clog2(BEATS + 1);
  logic [BW-1:0] beat;
  wire last = 32'(beat) == BEATS - 1;
  wire advance = !out_valid || out_ready;

  assign in_ready = advance && last;
  always_ff @(posedge clk) begin
    if (rst) begin
      beat <= '0;
      out_valid <= 1'b0;
    end else if (advance) begin
      out_valid <= in_valid;
      if (in_valid) beat <= last ? '0 : beat + 1'b1;
    end
    if (advance) out_data <= in_data[32'(beat)*WIDTH+:WIDTH];
  end
endmodule
